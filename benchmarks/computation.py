"""What networks compute: multiply-adds of convolutions and matrix products for an LR photo with a reference, 125x83 by default.

    KERAS_BACKEND=jax python benchmarks/computation.py          (needs the extras jax and torch)

c2m-tf's networks are traced by JAX, which knows every size, and nothing is run; of a loop each round counts, of two branches
the larger one. Peers are counted by PyTorch's own counter. Interpolation, pooling and what is done to single numbers is not
counted, as is usual.
"""

import argparse
import functools
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from upscale import LR_SIZE, SCALE

PRESETS = ("light", "mobile")
PEERS = ("RRDBNet", "EDSR-baseline")


def multiply_adds(function: Callable[..., Any], *shapes: Any) -> int:
    """Multiply-adds of convolutions and matrix products.

    Args:
        function: of arrays.
        shapes: float32 arrays' sizes, for each argument; dicts of such as well.
    """
    import jax

    def array(shape):
        return jax.ShapeDtypeStruct(shape, np.float32)

    arguments = [
        {name: array(size) for name, size in shape.items()} if isinstance(shape, dict) else array(shape) for shape in shapes
    ]
    return _of_program(jax.make_jaxpr(function)(*arguments).jaxpr)


def _of_program(program):
    return sum(_of_equation(equation) for equation in program.eqns)


def _of_equation(equation):
    sizes = [variable.aval.shape for variable in (*equation.invars, *equation.outvars) if hasattr(variable.aval, "shape")]
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return math.prod(sizes[-1]) * math.prod(sizes[0][axis] for axis in contracted)
    if equation.primitive.name == "conv_general_dilated":
        kernel = equation.params["dimension_numbers"].rhs_spec  # its axes: output channels, input channels of a group, space
        return math.prod(sizes[-1]) * math.prod(sizes[1][axis] for axis in kernel[1:])
    inner = [_of_program(program) for program in _programs(equation.params.values())]
    if equation.primitive.name == "cond":
        return max(inner)
    if equation.primitive.name == "while" and sum(inner):
        return _rounds(equation.params["cond_jaxpr"].jaxpr) * sum(inner)
    return equation.params.get("length", 1) * sum(inner)


def _rounds(condition):
    """Of a loop that counts from 0 up to a number."""
    (comparison,) = condition.eqns
    if comparison.primitive.name != "lt":
        raise ValueError(f"the rounds of a loop are not known before it runs: {condition}")
    return int(comparison.invars[1].val)


def _programs(values: Sequence) -> Iterator:
    for value in values:
        if hasattr(value, "jaxpr"):
            yield value.jaxpr
        elif hasattr(value, "eqns"):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _programs(value)


def of_peer(name: str, lr_shape: tuple[int, ...]) -> int:
    """The same of a network in PyTorch."""
    import torch
    from peer_networks import EDSRBaseline, RRDBNet
    from torch.utils.flop_counter import FlopCounterMode

    network = {"RRDBNet": RRDBNet, "EDSR-baseline": EDSRBaseline}[name]().eval().to("meta")
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.empty(*(lr_shape[axis] for axis in (0, 3, 1, 2)), device="meta"))
    return counter.get_total_flops() // 2


def of_model(preset: str, lr_shape: tuple[int, ...], ref_shape: tuple[int, ...] | None) -> int:
    """Of a preset, with or without a reference."""
    from c2m_tf.presets import load_model

    model = load_model(preset)
    inputs = {"lr": lr_shape} | ({"ref": ref_shape} if ref_shape else {})
    return multiply_adds(functools.partial(operator.call, model), inputs)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lr", type=int, nargs=2, default=LR_SIZE, metavar=("HEIGHT", "WIDTH"))
    options = parser.parse_args()
    if keras.backend.backend() != "jax":
        sys.exit(f"KERAS_BACKEND is {keras.backend.backend()}; networks are traced by JAX here: set KERAS_BACKEND=jax")
    height, width = options.lr
    lr_shape, ref_shape = (1, height, width, 3), (1, SCALE * height, SCALE * width, 3)
    print("| network | GMAC |\n|---|---|")
    for name in PEERS:
        print(f"| {name} | {of_peer(name, lr_shape) / 1e9:.1f} |")
    for preset in PRESETS:
        print(f"| {preset} | {of_model(preset, lr_shape, ref_shape) / 1e9:.1f} |")
        print(f"| {preset}, no reference | {of_model(preset, lr_shape, None) / 1e9:.1f} |")
    print(f"\nLR {width}x{height}, reference {SCALE * width}x{SCALE * height}")


if __name__ == "__main__":
    main()
