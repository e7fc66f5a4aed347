"""Publishing a model: the folder that the Hugging Face Hub takes, as Keras reads it, with a model card; and its upload.

    config.json, metadata.json, model.weights.h5    what `keras.saving.load_model` reads, from a folder and from hf://USER/NAME
    README.md                                       the model card

`model.save("hf://USER/NAME")` is what Keras itself gives; it writes a card of its own, without photos and licence.
"""

import os
import re
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from c2m_tf import __version__
from c2m_tf.photos.images import ImageError, make_folder
from c2m_tf.presets import HANDLE, PRESETS
from c2m_tf.startup import one_line

if TYPE_CHECKING:
    from c2m_tf.network.base import ReferenceModel

_LICENCES = {
    "research": "**For research, teaching and evaluation only**: part of the training photos is licensed for research only. "
    "The terms are in LICENSE-WEIGHTS.md of c2m-tf.",
    "CC BY 4.0": "**CC BY 4.0: any use, with credit** to c2m-tf and to the sources that its LICENSE-WEIGHTS.md lists.",
}
_UNKNOWN_LICENCE = (
    "Not stated. Write here under which terms the weights may be used; that depends on the photos that they were trained on."
)
_UNKNOWN_TRAINING = "Trained with c2m-tf. Write here on which photos, by which recipe, and what was measured."


def check_target(target: str) -> None:
    """Raises ValueError if the target of `push` is neither hf://USER/NAME nor an empty or a new folder."""
    if target.startswith(HANDLE):
        if not re.fullmatch(r"hf://[\w.-]+/[\w.-]+", target):
            raise ValueError(f"{target}: expected is hf://USER/NAME")
        return
    folder = Path(target)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; give a new or an empty folder, or hf://USER/NAME")


def write_folder(model: "ReferenceModel", folder: str | os.PathLike, card: str) -> None:
    """Writes what is pushed.

    Args:
        model: C2Matching or Mobile.
        folder: made if missing; files of these names are replaced.
        card: text of the model card, Markdown.

    Raises:
        ImageError: the folder cannot be made.
        OSError: a file cannot be written.
    """
    folder = make_folder(folder)
    model.save(folder, zipped=False, overwrite=True)
    (folder / "README.md").write_text(card, encoding="utf-8")


def model_card(model: "ReferenceModel", source: str, target: str) -> str:
    """The card of a model.

    Args:
        model: C2Matching or Mobile.
        source: what the user named as the model: a preset, whose weights have a licence of their own, or a file.
        target: where the model will be found.

    Returns:
        Markdown, with the front matter that the Hub reads.
    """
    preset = PRESETS.get(source)
    template = resources.files("c2m_tf.weights").joinpath("model_card.md").read_text(encoding="utf-8")
    handle = target if target.startswith(HANDLE) else f"{HANDLE}USER/NAME"
    return template.format(
        name=handle.rsplit("/", 1)[-1] if target.startswith(HANDLE) else Path(source).stem,
        handle=handle,
        variant=model.variant,
        parameters=f"{model.count_params():,}",
        version=__version__,
        description=preset.description if preset else _UNKNOWN_TRAINING,
        licence=_LICENCES[preset.licence] if preset else _UNKNOWN_LICENCE,
    )


def push(model: "ReferenceModel", target: str, card: str) -> str:
    """Uploads a model to the Hub; returns the address of its page.

    Args:
        model: C2Matching or Mobile.
        target: hf://USER/NAME; the repository is made if it is missing.
        card: text of the model card.

    Raises:
        ValueError: the Hub refuses, or cannot be reached.
        ImportError: huggingface_hub is not installed.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; pushing needs: pip install huggingface_hub") from error
    name = target.removeprefix(HANDLE)
    api = huggingface_hub.HfApi(library_name="c2m-tf", library_version=__version__)
    try:
        page = api.create_repo(name, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            write_folder(model, folder, card)
            api.upload_folder(repo_id=name, folder_path=folder, commit_message=f"c2m-tf {__version__}")
    except ImageError:
        raise
    except Exception as error:  # of the network, of permissions, of names: the Hub's client raises errors of many kinds
        raise ValueError(f"{target} cannot be pushed: {one_line(error)}") from error
    return str(page)
