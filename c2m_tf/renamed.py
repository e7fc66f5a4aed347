"""Names of earlier versions that still work, with a warning."""

import warnings

_NEW_NAMES = {"light-integer": "light"}  # presets


class RenamedWarning(FutureWarning):
    """A name of an earlier version was used."""


def current_name(name: str) -> str:
    """The name of today for a model's name of any version; warns (`RenamedWarning`) if it is another one."""
    if name not in _NEW_NAMES:
        return name
    warn_renamed(name, _NEW_NAMES[name])
    return _NEW_NAMES[name]


def warn_renamed(old: str, new: str) -> None:
    """Warns that what was called `old` is called `new`."""
    warnings.warn(f"{old} is now called {new}; the old name goes in the next version", RenamedWarning, stacklevel=3)
