"""c2m-tf doctor: what was found of the machine and the installation, and which defaults follow from it."""

import argparse
import importlib.util
import platform
from importlib import metadata

from c2m_tf.startup import say

# Extra: a module that it brings, and what it is for.
_EXTRAS = {
    "serve": ("fastapi", "HTTP server"),
    "train": ("pydantic", "training"),
    "tflite": ("ai_edge_litert", ".tflite files"),
    "jax": ("jax", "computing on JAX, KERAS_BACKEND=jax"),
    "heif": ("pillow_heif", "HEIC photos"),
    "flip": ("flip_evaluator", "FLIP in evaluate"),
    "perceptual": ("piq", "LPIPS and DISTS in evaluate"),
}
_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pillow")


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("doctor", help="print what was found of the machine, and which defaults follow from it")
    command.set_defaults(run=_run)


def _run(options):
    del options
    for name, value in findings():
        say(f"{name:<14}{value}")
    return 0


def findings() -> list[tuple[str, str]]:
    """(name, sentence) of each thing that was found."""
    from c2m_tf.startup import start_keras

    start_keras()
    import keras

    from c2m_tf import machine
    from c2m_tf.upscaling import opening
    from c2m_tf.upscaling.plans import SHARE, default_max_memory
    from c2m_tf.version import __version__

    features = machine.processor_features()
    gpus = opening.gpus()
    return [
        ("c2m-tf", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("packages", ", ".join(f"{package} {version}" for package in _PACKAGES if (version := _version(package)))),
        ("backend", keras.backend.backend()),
        ("processor", machine.processor_name()),
        ("features", " ".join(features) or "not known on this system"),
        ("cores", f"{machine.usable_cores()} may be used"),
        ("GPUs", ", ".join(gpus) or "none that the backend sees"),
        (
            "memory",
            f"{machine.usable_memory() / 2**30:.1f} GiB; one photo may need {default_max_memory() / 2**30:.1f} GiB "
            f"({SHARE:.0%}; --max-memory)",
        ),
        ("--dtype auto", f"takes {_short(opening.default_dtype())}: {_reason(features, gpus)}"),
        ("extras", "; ".join(_extra(name, module, purpose) for name, (module, purpose) in _EXTRAS.items())),
    ]


def _short(policy):
    return policy.removeprefix("mixed_")


def _reason(features, gpus):
    from c2m_tf.machine import BFLOAT16_FEATURES

    if gpus:
        return "a GPU does the work; try --dtype bfloat16 on it"
    found = [name for name in features if name in BFLOAT16_FEATURES]
    if found:
        return f"the processor has {found[0]}"
    return f"the processor has neither of {', '.join(sorted(BFLOAT16_FEATURES))}"


def _extra(name, module, purpose):
    if importlib.util.find_spec(module) is not None:
        return f"{name} installed"
    return f"{name} missing ({purpose}: pip install 'c2m-tf[{name}]')"


def _version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
