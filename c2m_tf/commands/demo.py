"""c2m-tf demo: upscales a photo that ships with scikit-image, and measures the result."""

import argparse

from c2m_tf.commands.model_options import add_model_options, open_upscaler
from c2m_tf.startup import say, start_keras


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("demo", help="upscale a photo that ships with scikit-image; writes pictures to look at")
    command.set_defaults(run=_run)
    command.add_argument("-o", "--output", default="demo_output", metavar="DIR", help="default: demo_output")
    add_model_options(command)


def _run(options):
    start_keras()
    from c2m_tf.evaluation import demo

    figures = demo.run(open_upscaler(options), options.output)
    for label, name in (("bicubic", "bicubic"), ("C2-Matching", "sr")):
        say(f"{label:<12} {figures[name]['psnr_y']:.2f} dB PSNR, {figures[name]['ssim_y']:.4f} SSIM on Y")
    say(f"pictures: {', '.join(f'{options.output}/{name}.png' for name in ('lr', 'ref', 'bicubic', 'sr', 'comparison'))}")
    return 0
