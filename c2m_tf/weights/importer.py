"""Published checkpoints -> .keras files: what `c2m-tf import-weights` does."""

import os
from pathlib import Path

import keras

from c2m_tf.network.discriminator import discriminator as build_discriminator
from c2m_tf.network.model import C2Matching
from c2m_tf.photos.files import remove_left_over, replacing
from c2m_tf.photos.images import check_not_input, check_writable
from c2m_tf.startup import one_line
from c2m_tf.weights import checkpoints
from c2m_tf.weights.vgg import read_vgg


def import_weights(
    extractor: str | os.PathLike,
    restoration: str | os.PathLike,
    vgg: str | os.PathLike,
    output: str | os.PathLike,
    discriminator: str | os.PathLike | None = None,
) -> list[tuple[Path, str]]:
    """Builds the model that the checkpoints belong to, full or light, and saves it.

    Args:
        extractor: feature_extraction.pth.
        restoration: c2_matching_restoration.pth, c2_matching_restoration_mse.pth, or one of the light network.
        vgg: vgg19-dcbb9e9d.pth, an .npz of Keras arrays, or "keras"; see `vgg_weights.read_vgg`.
        output: .keras file to write.
        discriminator: optional checkpoint of the critic, saved beside the output as <output's stem>.discriminator.keras.

    Returns:
        List of (path written, what it holds).

    Raises:
        ValueError: output not named .keras or not writable, names or shapes that do not fit (`checkpoints.CheckpointError`).
        FileNotFoundError, ImportError: see `checkpoints.read_torch_checkpoint`.
    """
    output = Path(output)
    if output.suffix != ".keras":
        raise ValueError(f"{output}: the result is a Keras file; name it {output.with_suffix('.keras').name}")
    critic_output = output.with_suffix(".discriminator.keras")
    inputs = [path for path in (extractor, restoration, vgg, discriminator) if path not in (None, "keras")]
    for path in (output, *([critic_output] if discriminator is not None else [])):
        check_not_input(path, inputs)
        check_writable(path)
    state = checkpoints.read_torch_checkpoint(restoration)
    variant = "full" if any("small_dyn_agg" in name for name in state) else "light"
    model = C2Matching.full() if variant == "full" else C2Matching.light()
    checkpoints.load_restoration(model, state)
    checkpoints.load_extractors(model, checkpoints.read_torch_checkpoint(extractor))
    checkpoints.load_reference_encoder(model, read_vgg(vgg))
    to_write = [(output, model, f"{variant} model")]
    if discriminator is not None:
        critic = build_discriminator(published=True)
        checkpoints.load_discriminator(critic, checkpoints.read_torch_checkpoint(discriminator))
        to_write.append((critic_output, critic, "published discriminator"))
    for path, keras_model, _ in to_write:
        save_atomically(keras_model, path)
    return [(path, what) for path, _, what in to_write]


def save_atomically(model: keras.Model, path: str | os.PathLike) -> None:
    """Saves a Keras model so that `path` holds the complete new file or what it held before.

    Raises:
        ValueError: the file cannot be written.
    """
    try:
        remove_left_over([path])
        with replacing(path) as temporary:
            model.save(temporary)
    except (OSError, RuntimeError) as error:  # HDF5 has errors of its own on a full disk
        raise ValueError(f"cannot write {path}: {one_line(error)}") from error
