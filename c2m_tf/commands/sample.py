"""c2m-tf sample: a photo and a reference to try things with."""

import argparse

from c2m_tf.startup import say


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("sample", help="write a small photo and a reference to try things with")
    command.set_defaults(run=_run)
    command.add_argument("folder", metavar="DIR", help="where lr.png and reference.jpg are written; made if missing")


def _run(options):
    from c2m_tf.evaluation.sample import write_sample

    lr, reference = write_sample(options.folder)
    say(f"{lr} and {reference} (photo: Rachel Michetti, CC0); try: c2m-tf upscale -i {lr} -r {reference} -o sr.png")
    return 0
