"""c2m-tf evaluate: PSNR and SSIM on a folder of groups, each an HR photo and its references."""

import argparse
import json
import sys

from c2m_tf.commands.model_options import add_model_options, open_upscaler
from c2m_tf.commands.progress import track
from c2m_tf.startup import one_line, start_keras


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("evaluate", help="PSNR and SSIM on a folder of HR photos and references")
    command.set_defaults(run=_run)
    command.add_argument(
        "--pairs", required=True, metavar="FOLDER", help="NNN_0 (HR), NNN_1, ... (references); or folders input and ref"
    )
    command.add_argument(
        "--references",
        choices=("1", "all", "none", "shuffled"),
        default="1",
        help="first, all, none (the LR photo itself), or the next group's (default: 1)",
    )
    command.add_argument(
        "--protocol", choices=("plain", "paper"), default="plain", help="paper pads as the released code (default: plain)"
    )
    command.add_argument("--json", metavar="FILE", help="also write the figures to a JSON file")
    command.add_argument("--sheet", metavar="FILE.png", help="also draw the best, the median and the worst result")
    command.add_argument("--save-images", metavar="DIR", help="also write each result as DIR/NNN.png")
    add_model_options(command)


def _run(options):
    start_keras()
    from c2m_tf.evaluation import protocols
    from c2m_tf.evaluation.groups import find_groups
    from c2m_tf.photos import images

    groups = find_groups(options.pairs, options.references)
    if options.json is not None:
        images.check_writable(options.json)
    if options.sheet is not None:
        images.check_output(options.sheet, [path for group in groups for path in (group.hr, *group.references)])
    if options.save_images is not None:
        folder = images.make_folder(options.save_images)
        for group in groups:
            images.check_output(folder / f"{group.name}.png", [group.hr, *group.references])
    upscaler = open_upscaler(options)
    results, problems = [], []
    for group in track(groups, "evaluating"):
        try:
            result = protocols.evaluate_group(upscaler, group, options.protocol)
            if options.save_images is not None:
                images.write(folder / f"{group.name}.png", result.sr)
            # Without a sheet to draw, photos need not be kept.
            results.append(result if options.sheet else result._replace(hr=None, sr=None, bicubic=None, reference=None))
        except ValueError as error:
            problems.append(f"group {group.name}: {one_line(error)}")
    for problem in problems:
        print(f"c2m-tf: {problem}", file=sys.stderr)
    if not results:
        return 1
    line = protocols.protocol_line(options.protocol, options.references, options.model)
    report = protocols.summary([(result.name, result.figures) for result in results], line)
    print("\n".join(protocols.table(report)))
    if options.json is not None:
        text = json.dumps(report, indent=2).encode()
        images.write_atomically(options.json, lambda file: file.write(text))
    if options.sheet is not None:
        images.write(options.sheet, protocols.extremes_sheet(results))
    return 1 if problems else 0
