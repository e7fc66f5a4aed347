"""What one runs first: c2m-tf demo upscales a photo that comes along, sample writes one, doctor looks at the machine."""

import argparse
import importlib.util
import platform
from collections.abc import Sequence
from importlib import metadata

from c2m_tf.commands.options import add_model_options, check_model_options, open_upscaler
from c2m_tf.startup import say, start_keras

# Extra: a module that it brings, and what it is for.
_EXTRAS = {
    "serve": ("fastapi", "HTTP server"),
    "train": ("pydantic", "training"),
    "tflite": ("ai_edge_litert", ".tflite files"),
    "jax": ("jax", "computing on JAX, KERAS_BACKEND=jax"),
    "heif": ("pillow_heif", "HEIC photos"),
    "flip": ("flip_evaluator", "FLIP in evaluate"),
    "c2pa": ("c2pa", "signed results"),
    "perceptual": ("piq", "LPIPS and DISTS in evaluate"),
}
_PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pillow")


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("demo", help="upscale a photo that ships with scikit-image; writes pictures to look at")
    command.set_defaults(run=_demo)
    command.add_argument("-o", "--output", default="demo_output", metavar="DIR", help="default: demo_output")
    add_model_options(command)


def _demo(options: argparse.Namespace) -> int:
    from c2m_tf.evaluation import demo

    check_model_options(options, [options.model])
    demo.check_folder(options.output)
    start_keras()
    figures = demo.run(open_upscaler(options), options.output)
    for label, name in (("bicubic", "bicubic"), ("upscaled", "sr")):
        say(f"{label:<12} {figures[name]['psnr_y']:.2f} dB PSNR, {figures[name]['ssim_y']:.4f} SSIM on Y")
    say(f"pictures: {', '.join(f'{options.output}/{name}.png' for name in ('lr', 'ref', 'bicubic', 'sr', 'comparison'))}")
    return 0


def add_sample(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("sample", help="write a small photo and a reference to try things with")
    command.set_defaults(run=_sample)
    command.add_argument("folder", metavar="DIR", help="where lr.png and reference.jpg are written; made if missing")


def _sample(options: argparse.Namespace) -> int:
    from c2m_tf.evaluation.demo import write_sample

    lr, reference = write_sample(options.folder)
    say(f"{lr} and {reference} (photo: Rachel Michetti, CC0); try: c2m-tf upscale -i {lr} -r {reference} -o sr.png")
    return 0


def add_doctor(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("doctor", help="print what was found of the machine, and which defaults follow from it")
    command.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> int:
    del options
    for name, value in findings():
        say(f"{name:<14}{value}")
    return 0


def findings() -> list[tuple[str, str]]:
    """(name, sentence) of each thing that was found."""
    from c2m_tf.startup import start_keras

    start_keras()
    import keras

    from c2m_tf import __version__, startup
    from c2m_tf.upscaling import opening
    from c2m_tf.upscaling.plans import SHARE, default_max_memory

    features = startup.processor_features()
    gpus = opening.gpus()
    return [
        ("c2m-tf", f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("packages", ", ".join(f"{package} {version}" for package in _PACKAGES if (version := _version(package)))),
        ("backend", keras.backend.backend()),
        ("processor", startup.processor_name()),
        ("features", " ".join(features) or "not known on this system"),
        ("cores", f"{startup.usable_cores()} may be used"),
        ("GPUs", ", ".join(gpus) or "none that the backend sees"),
        (
            "memory",
            f"{startup.usable_memory() / 2**30:.1f} GiB; one photo may need {default_max_memory() / 2**30:.1f} GiB "
            f"({SHARE:.0%}; --max-memory)",
        ),
        ("--dtype auto", f"takes {_short(opening.default_dtype())}: {_reason(features, gpus)}"),
        ("extras", "; ".join(_extra(name, module, purpose) for name, (module, purpose) in _EXTRAS.items())),
    ]


def _short(policy: str) -> str:
    return policy.removeprefix("mixed_")


def _reason(features: Sequence[str], gpus: Sequence[str]) -> str:
    from c2m_tf.startup import BFLOAT16_FEATURES

    if gpus:
        return "a GPU does the work; try --dtype bfloat16 on it"
    found = [name for name in features if name in BFLOAT16_FEATURES]
    if found:
        return f"the processor has {found[0]}"
    return f"the processor has neither of {', '.join(sorted(BFLOAT16_FEATURES))}"


def _extra(name: str, module: str, purpose: str) -> str:
    if importlib.util.find_spec(module) is not None:
        return f"{name} installed"
    return f"{name} missing ({purpose}: pip install 'c2m-tf[{name}]')"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
