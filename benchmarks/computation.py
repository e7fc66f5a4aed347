"""What networks compute: multiply-adds of convolutions and matrix products for an LR photo with a reference, 125x83 by default.

    KERAS_BACKEND=jax python benchmarks/computation.py          (needs the extras jax and torch)
    KERAS_BACKEND=jax python benchmarks/computation.py --reports first.json all.json none.json --plot docs/computation.png

The second also draws PSNR against multiply-adds, and each group's against how well its reference fits. Reports are those of
`c2m-tf evaluate --model light --model mobile --references 1|all|none --json FILE`.

c2m-tf's networks are traced by JAX, which knows every size, and nothing is run; of a loop each round counts, of two branches
the larger one. Peers are counted by PyTorch's own counter. Interpolation, pooling and what is done to single numbers is not
counted, as is usual.
"""

import argparse
import functools
import json
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from presets_table import PUBLISHED
from upscale import LR_SIZE, SCALE
from wrong_input import in_one_line

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
    """Of a preset, or of the published network "full", with or without a reference."""
    from c2m_tf import C2Matching
    from c2m_tf.presets import load_model

    model = C2Matching.full() if preset == "full" else load_model(preset)
    inputs = {"lr": lr_shape} | ({"ref": ref_shape} if ref_shape else {})
    return multiply_adds(functools.partial(operator.call, model), inputs)


def draw(counted: dict[str, int], reports: Sequence[str], path: str) -> None:
    """Draws PSNR against multiply-adds, and gains of groups against how well their references fit.

    Args:
        counted: multiply-adds by the table's names.
        reports: files of `c2m-tf evaluate`, of any choices of references.
        path: .png to write.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    found = [json.loads(Path(report).read_text()) for report in reports]
    colours = {"bicubic": "gray", "light": "tab:blue", "mobile": "tab:orange"}
    markers = {"first reference": "o", "all references": "^", "no reference": "s"}
    for report in found:
        references = report["protocol"]["references"]
        for name, system in report["systems"].items():
            if name == "bicubic":
                left.axhline(system["mean"]["psnr_y"], color="gray", linestyle=":")
                continue
            count = counted[name if report["groups"][0]["references"] else f"{name}, no reference"] / 1e9
            style = {"color": colours[name], "marker": markers.get(references, "x"), "s": 60}
            left.scatter(count, system["mean"]["psnr_y"], label=f"{name}, {references}", **style)
        if references != "first reference":
            continue
        for name in report["systems"]:
            gains = [
                [group["fit"], group["figures"][name]["psnr_y"] - group["figures"]["bicubic"]["psnr_y"]]
                for group in report["groups"]
            ]
            if name != "bicubic":
                right.scatter(*np.transpose(gains), color=colours[name], label=name)
    smfanet = counted["mobile, no reference"] / 1e9  # whose network the branch is, but for the gates
    left.scatter(smfanet, PUBLISHED["SMFANet+ (DF2K)"], color="black", marker="x", label="SMFANet+, no reference")
    for name in (*PEERS, "full"):
        left.axvline(counted[name] / 1e9, color="lightgray", linewidth=1)
        left.annotate(f" {name}", (counted[name] / 1e9, 24.7), rotation=90, color="gray", fontsize=8)
    left.annotate("bicubic", (7.0, 24.6), color="gray", fontsize=8)
    left.set(xscale="log", xlabel="billions of multiply-adds, with one reference", ylabel="PSNR on Y, mean of the groups (dB)")
    right.set(xlabel="fit of the reference", ylabel="gain over bicubic, first reference (dB)")
    for axes in (left, right):
        axes.legend(fontsize=8, loc="best")
    figure.savefig(path, dpi=100)


@in_one_line
def main() -> None:
    """Prints the table, and draws if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--lr", type=int, nargs=2, default=LR_SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--plot", metavar="FILE.png", help="draw PSNR against multiply-adds; needs --reports")
    parser.add_argument("--reports", nargs="+", metavar="FILE.json", help="of c2m-tf evaluate --json")
    options = parser.parse_args()
    if bool(options.plot) != bool(options.reports):
        parser.error("--plot and --reports are given together")
    if keras.backend.backend() != "jax":
        sys.exit(f"KERAS_BACKEND is {keras.backend.backend()}; networks are traced by JAX here: set KERAS_BACKEND=jax")
    height, width = options.lr
    lr_shape, ref_shape = (1, height, width, 3), (1, SCALE * height, SCALE * width, 3)
    counted = {name: of_peer(name, lr_shape) for name in PEERS}
    for preset in PRESETS:
        counted[preset] = of_model(preset, lr_shape, ref_shape)
        counted[f"{preset}, no reference"] = of_model(preset, lr_shape, None)
    counted["full"] = of_model("full", lr_shape, ref_shape)
    print("| network | GMAC |\n|---|---|")
    for name, count in counted.items():
        print(f"| {name} | {count / 1e9:.1f} |")
    print(f"\nLR {width}x{height}, reference {SCALE * width}x{SCALE * height}")
    if options.plot:
        draw(counted, options.reports, options.plot)


if __name__ == "__main__":
    main()
