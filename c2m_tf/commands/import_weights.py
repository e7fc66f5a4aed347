"""c2m-tf import-weights: published PyTorch checkpoints to a .keras file."""

import argparse

from c2m_tf.photos.folders import check_exists
from c2m_tf.startup import say, start_keras


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("import-weights", help="make a .keras file of published PyTorch checkpoints")
    command.set_defaults(run=_run)
    command.add_argument("--extractor", required=True, metavar="PTH", help="feature_extraction.pth")
    command.add_argument("--restoration", required=True, metavar="PTH", help="c2_matching_restoration[_mse].pth, or light")
    command.add_argument(
        "--vgg",
        required=True,
        metavar="VGG",
        help='vgg19-dcbb9e9d.pth (what the published weights were trained with), an .npz of Keras arrays, or "keras"',
    )
    command.add_argument(
        "--discriminator", metavar="PTH", help="critic; written beside OUT as OUT's name + .discriminator.keras"
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT.keras", help="file to write")


def _run(options):
    for path in (options.extractor, options.restoration, options.vgg, options.discriminator):
        if path not in (None, "keras"):
            check_exists(path)
    start_keras()
    from c2m_tf.weights.importer import import_weights

    for path, variant in import_weights(
        options.extractor, options.restoration, options.vgg, options.output, options.discriminator
    ):
        say(f"wrote {path} ({variant})")
    return 0
