"""Clones of functional models in which some inputs may be left unused."""

from collections.abc import Callable

import keras


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
