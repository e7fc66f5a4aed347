"""`ReferenceModel`: what the networks that upscale with references share as Keras models."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import keras

from c2m_tf.presets import load_model

Network = TypeVar("Network", bound="ReferenceModel")


class ReferenceModel(keras.Model):
    """A network of {"lr", "ref"} -> SR photo whose sizes are arguments, with weights of presets and files.

    Args:
        arguments: those that a class was made with, by name, `dtype` and `name` left out.
        kwargs: of `keras.Model`.

    Raises:
        ValueError: Keras's default type is not float32.
    """

    def __init__(self, arguments: dict[str, Any], **kwargs: Any) -> None:
        if keras.config.floatx() != "float32":
            raise ValueError(
                f"Keras's default type is {keras.config.floatx()}, expected is float32; use keras.config.set_floatx('float32') "
                f"or change floatx in ~/.keras/keras.json, and choose the dtype of the networks by a policy"
            )
        super().__init__(autocast=False, **kwargs)
        self._arguments = arguments

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments that the network was made with, by name, `dtype` and `name` left out."""
        return dict(self._arguments)

    def like(self: Network, dtype: Any = None, **changes: Any) -> Network:
        """A new model of the same arguments but for those given, with new numbers; float32 unless `dtype` is given."""
        return type(self)(**self.arguments | changes, dtype=dtype)

    @classmethod
    def from_preset(cls: type[Network], preset: str | os.PathLike, dtype: str | None = None) -> Network:
        """A model with weights.

        Args:
            preset: a key of `c2m_tf.presets.PRESETS`, e.g. "light"; or what `save` wrote: a .keras file, a folder, or
                a handle of the Hugging Face Hub, "hf://user/name".
            dtype: dtype policy, "float32" or "mixed_bfloat16"; by default float32 for presets, and what a file was saved with.

        Raises:
            ValueError: unknown preset (the message names those that exist), no such file, or one that holds something else.
            ImportError: a handle of the Hub, and huggingface_hub is not installed.
        """
        return load_model(preset, dtype, cls)

    def export(
        self,
        filepath: str | os.PathLike,
        format: str = "tf_saved_model",  # noqa: A002  # Keras's own name
        verbose: bool | None = None,
        input_signature: list | None = None,
        **kwargs: Any,
    ) -> None:
        """As `keras.Model.export`, of a model that need not have been called: {"lr", "ref"} in, the SR photo out.

        `c2m-tf export` writes files that do more: encoded photos, no reference, tiles for phones in builtin ops alone.

        Args:
            filepath: folder of a SavedModel, or .tflite file for "litert".
            format: "tf_saved_model", "litert", or another one of Keras.
            verbose: whether Keras prints what it wrote.
            input_signature: [{"lr": keras.InputSpec, "ref": keras.InputSpec}]; by default one reference and any sizes, for
                "litert" an LR photo of 64x64 pixels and a reference of 256x256.
            kwargs: of `keras.Model.export`.
        """
        if input_signature is None:
            lr, ref = ((1, 64, 64, 3), (1, 256, 256, 3)) if format == "litert" else ((None, None, None, 3),) * 2
            shapes = {"lr": lr, "ref": ref}
            input_signature = [{name: keras.InputSpec("float32", shape, name=name) for name, shape in shapes.items()}]
        super().export(filepath, format, verbose, input_signature, **kwargs)

    def compute_output_shape(self, input_shape: dict[str, tuple]) -> tuple:
        batch, height, width, channels = input_shape["lr"]
        return (batch, height and 4 * height, width and 4 * width, channels)

    def compute_output_spec(self, inputs: dict[str, Any], training: bool = False) -> keras.KerasTensor:
        # The result is float32 under every dtype policy.
        return keras.KerasTensor(self.compute_output_shape({"lr": inputs["lr"].shape}), "float32")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.arguments}


def clone_model(model: keras.Model, clone_function: Callable, call_function: Callable) -> keras.Model:
    """As `keras.models.clone_model`, but the new calls need not use every input.

    Keras 3.12 refuses inputs that no layer takes, so each is also given to a layer whose result nobody needs.

    Args:
        model: functional model.
        clone_function: from a layer to the layer that takes its place.
        call_function: called as `call_function(new_layer, *inputs, **options)`; returns the outputs.

    Returns:
        keras.Model with the same inputs.
    """
    inputs = keras.tree.map_structure(
        lambda tensor: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name), model.input
    )
    keras.tree.map_structure(keras.layers.Identity(), inputs)
    return keras.models.clone_model(model, input_tensors=inputs, clone_function=clone_function, call_function=call_function)
