"""c2m-tf evaluate: models and other systems' results on a folder of groups, each an HR photo and its references."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from c2m_tf.commands.options import add_model_options, check_model_options, open_upscaler
from c2m_tf.commands.running import track
from c2m_tf.startup import one_line, say, start_keras, warn

if TYPE_CHECKING:
    from c2m_tf.evaluation.evaluator import ModelSystem
    from c2m_tf.evaluation.groups import Group, ResultsSystem

# Names of c2m_tf.evaluation, which is not imported before the command runs; a test compares them.
PROTOCOLS = ("plain", "paper", "ttsr", "mmagic-rgb")
MEASURES = ("flip", "lpips", "dists")


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser(
        "evaluate", help="PSNR, SSIM and others of models and results on a folder of HR photos and references"
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "--pairs", required=True, metavar="FOLDER", help="NNN_0 (HR), NNN_1, ... (references); or folders input and ref"
    )
    command.add_argument(
        "--results",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=DIR",
        help="pictures that other systems made, named after the groups (NNN.png); --model may then be left out",
    )
    command.add_argument(
        "--references",
        choices=("1", "all", "none", "shuffled"),
        default="1",
        help="first, all, none, or shuffled: another group's, chosen to match as little as possible (default: 1)",
    )
    command.add_argument(
        "--protocol",
        choices=PROTOCOLS,
        default="plain",
        help="how figures are computed; defined in the report and in docs/evaluation.md (default: plain)",
    )
    command.add_argument(
        "--degradation",
        default="bicubic",
        metavar="NAME",
        help="how LR photos are made: bicubic, area, blur, jpegQ, noiseS, messenger, phone, ... (default: bicubic)",
    )
    command.add_argument(
        "--measures",
        nargs="+",
        action="extend",
        default=[],
        choices=MEASURES,
        help="also take perceptual measures (extras flip, perceptual)",
    )
    command.add_argument("--json", metavar="FILE", help="also write the report to a JSON file")
    command.add_argument("--sheet", metavar="FILE.png", help="also draw all systems where they differ most")
    command.add_argument(
        "--save-images", metavar="DIR", help="also write each result as DIR/NNN.png; of several models as DIR/MODEL/NNN.png"
    )
    add_model_options(command, several=True)


def _run(options: argparse.Namespace) -> int:
    from c2m_tf.evaluation.groups import find_groups, find_results
    from c2m_tf.photos import images
    from c2m_tf.photos.degradations import degradation_named

    # What needs no network comes before Keras, whose import takes seconds.
    degradation = degradation_named(options.degradation)
    shuffled = options.references == "shuffled"
    groups = find_groups(options.pairs, "1" if shuffled else options.references)
    models = options.model or ([] if options.results else ["light"])
    check_model_options(options, models)
    found = find_results(options.results, groups)
    folders = _outputs(options, groups, found.systems, models)
    start_keras()
    from c2m_tf.evaluation import reports
    from c2m_tf.evaluation.evaluator import Evaluator, ModelSystem
    from c2m_tf.evaluation.metrics import load_measures, protocol_named

    measures = load_measures(options.measures)
    opened = [ModelSystem(name, open_upscaler(options, model)) for name, model in zip(model_names(models), models, strict=True)]
    evaluator = Evaluator([*opened, *found.systems], protocol_named(options.protocol), degradation, measures)
    warnings = [*found.missing, *found.superfluous, *_left_out(options)]
    groups = found.groups
    if shuffled:
        groups, suspected = _shuffled(groups, opened)
        warnings += suspected
    for warning in warnings:
        warn(warning)

    results, problems = [], []
    for group in track(groups, "evaluating"):
        try:
            result = evaluator.evaluate(group)
        except ValueError as error:
            problems.append(f"group {group.name}: {one_line(error)}")
            continue
        for name, folder in folders.items():
            profile = None if result.case is None else result.case.icc_profile
            try:
                images.write(folder / f"{group.name}.png", result.pictures[name], icc_profile=profile)
            except images.ImageError as error:  # a full disk must not cost the figures
                problems.append(one_line(error))
        # Without a sheet to draw, photos need not be kept.
        results.append(result if options.sheet else result.without_photos())
    for problem in problems:
        warn(problem)
    if not results:
        return 1
    report = reports.make_report(evaluator, results, options.references)
    try:
        if options.json is not None:
            text = json.dumps(reports.as_json(report), indent=2, allow_nan=False).encode()
            images.write_atomically(options.json, lambda file: file.write(text))
        if options.sheet is not None:
            images.write(options.sheet, reports.comparison_sheet(results, evaluator.protocol.judged_by))
    finally:  # nor here
        say("\n".join(reports.table(report)))
    return 1 if problems or found.missing else 0


def model_names(models: Sequence[str]) -> list[str]:
    """Names of models in tables: presets by name, files by their stem, or by folder and stem where stems are equal.

    Args:
        models: presets, files and folders as given.

    Raises:
        ValueError: a model given twice.
    """
    short = [Path(model).name if Path(model).suffix not in (".keras", ".tflite") else Path(model).stem for model in models]
    names = [
        f"{Path(os.path.realpath(model)).parent.name}/{name}" if short.count(name) > 1 else name
        for model, name in zip(models, short, strict=True)
    ]
    names = [model if names.count(name) > 1 else name for model, name in zip(models, names, strict=True)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"model {twice} is given twice; once is enough")
    return names


def _left_out(options: argparse.Namespace) -> list[str]:
    """A sentence on photos that are not evaluated, if there are any."""
    from c2m_tf.evaluation.groups import left_out

    names = left_out(options.pairs, "1" if options.references == "shuffled" else options.references)
    if not names:
        return []
    shown = ", ".join([*names[:3], *(["..."] if names[3:] else [])])
    why = "references of others by their names, or of no group" if options.references == "none" else "of no group"
    return [f"{options.pairs}: {len(names)} {'photo is' if len(names) == 1 else 'photos are'} left out, {why} ({shown})"]


def _outputs(
    options: argparse.Namespace, groups: "Sequence[Group]", systems: "Sequence[ResultsSystem]", models: Sequence[str]
) -> dict[str, Path]:
    """Checks every file that will be written, removes what killed runs left of it; gives {model: folder of pictures}."""
    from c2m_tf.evaluation.groups import photos_of
    from c2m_tf.photos import writing
    from c2m_tf.photos.files import place, remove_left_over

    files = [path for system in systems for path in system.files.values()]
    photos = photos_of(options.pairs)
    inputs = writing.Inputs([*photos, *files, *models])
    written = []
    if options.json is not None:
        writing.check_not_input(options.json, inputs)
        writing.check_writable(options.json)
        written.append(options.json)
    if options.sheet is not None:
        writing.check_output(options.sheet, inputs)
        written.append(options.sheet)
    if options.save_images is None:
        writing.check_distinct(written)
        remove_left_over(written)
        return {}
    if place(options.save_images) in {place(photo.parent) for photo in photos}:
        raise ValueError(f"--save-images {options.save_images}: pictures would be taken for photos there; give another folder")
    writing.check_distinct([*written, options.save_images])
    folder, names = writing.make_folder(options.save_images), model_names(models)
    folders = {name: folder / name.replace("/", "-") if len(names) > 1 else folder for name in names}
    for model_folder in folders.values():
        for group in groups:
            path = writing.make_folder(model_folder) / f"{group.name}.png"
            writing.check_output(path, inputs)
            _check_own(path, group)
            written.append(path)
    writing.check_distinct(written)
    remove_left_over(written)
    return folders


def _check_own(path: Path, group: "Group") -> None:
    """Raises ImageError if something is there that is no picture of the group; a damaged HR photo is reported later."""
    from c2m_tf.jobs.folders import is_begun
    from c2m_tf.photos.headers import read_header
    from c2m_tf.photos.images import SCALE, ImageError

    try:
        height, width, _ = read_header(group.hr)
    except ImageError:
        return
    is_begun(str(path), (height - height % SCALE, width - width % SCALE), group.hr.name, "give another folder")


def _shuffled(groups: "list[Group]", opened: "Sequence[ModelSystem]") -> "tuple[list[Group], list[str]]":
    """Groups with other groups' references, and sentences about those that may show the same scene."""
    from c2m_tf.evaluation.groups import CANDIDATES, match_score, shuffle

    matcher = next((system.upscaler for system in opened if system.upscaler.reports_matches), None)
    if matcher is None:
        raise ValueError("--references shuffled needs a model that reports its matches: a preset, a .keras or a .tflite file")
    found = shuffle(groups, match_score(matcher))
    return found.groups, [
        f"group {name}: the reference with the lowest match of {CANDIDATES} groups may still show the same scene"
        for name in found.suspect
    ]
