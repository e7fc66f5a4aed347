"""c2m-tf push: a model to the Hugging Face Hub, or into the folder that would be pushed."""

import argparse
from pathlib import Path

from c2m_tf.commands.model_options import model_name
from c2m_tf.presets import HANDLE, check_model
from c2m_tf.startup import say, start_keras


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("push", help="publish a model on the Hugging Face Hub, with a model card")
    command.set_defaults(run=_run)
    command.add_argument(
        "--model", type=model_name, default="light", metavar="PRESET|FILE", help="preset or .keras file (default: light)"
    )
    command.add_argument("--card", metavar="FILE.md", help="model card to write along (default: one is made from a template)")
    command.add_argument("target", metavar="TARGET", help="hf://USER/NAME; or a new folder, for what would be pushed")


def _run(options):
    from c2m_tf.weights.publishing import check_target, model_card, push, write_folder

    check_target(options.target)
    check_model(options.model)
    start_keras()
    from c2m_tf.network.model import C2Matching

    card = None if options.card is None else Path(options.card).read_text(encoding="utf-8")
    model = C2Matching.from_preset(options.model)
    card = card or model_card(model, options.model, options.target)
    if options.target.startswith(HANDLE):
        say(f"pushed to {push(model, options.target, card)}")
    else:
        write_folder(model, options.target, card)
        say(f"wrote {options.target}; with huggingface_hub, hf upload USER/NAME {options.target} pushes it")
    return 0
