"""c2m-tf upscale: one photo, or a folder of photos."""

import argparse
import sys
from pathlib import Path

from c2m_tf.commands.model_options import add_model_options, open_upscaler
from c2m_tf.commands.progress import tile_progress, track
from c2m_tf.startup import one_line


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("upscale", help="upscale a photo, or a folder of photos")
    command.set_defaults(run=_run)
    command.add_argument("-i", "--input", required=True, metavar="LR", help="photo, or folder of photos, to upscale")
    command.add_argument(
        "-r",
        "--reference",
        nargs="+",
        default=[],
        metavar="REF",
        help="reference photos, or folders with references of the same names as the photos; without, none is used",
    )
    command.add_argument(
        "--reference-strength",
        type=float,
        default=1.0,
        metavar="S",
        help="how much of the references is used, from 0 (nothing) to 1 (all that fits; the default)",
    )
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="result; a folder if the input is one")
    command.add_argument("--comparison", metavar="SHEET.png", help="also draw bicubic, result and reference (one photo only)")
    command.add_argument(
        "--matches", metavar="MAP.png", help="also draw where the reference shows each part of the photo (one photo only)"
    )
    add_model_options(command)


def _run(options):
    from c2m_tf.photos import images
    from c2m_tf.upscaling import batch

    _check_reference_options(options)
    jobs, problems = batch.find_jobs(options.input, options.reference, options.output)
    single = not Path(options.input).is_dir()
    written = [options.output]
    for name, path in (("comparison", options.comparison), ("matches", options.matches)):
        if path is None:
            continue
        if not single:
            raise ValueError(f"--{name} draws a single photo; give a photo as input, not a folder")
        images.check_output(path, [options.input, *jobs[0].refs, *options.reference])
        written.append(path)
    images.check_distinct(written)
    upscaler = open_upscaler(options)
    strength = options.reference_strength
    upscaler.check_strength(strength)
    if single:
        with tile_progress() as progress:
            share = batch.run(upscaler, jobs[0], options.comparison, options.matches, progress, strength=strength)
        if share is not None:
            print(f"the references explain {share:.0%} of the photo")
        return 0
    done, shares = 0, []
    kept = batch.KeptReference(upscaler)
    for job in track(jobs, "upscaling"):
        try:
            shares.append(batch.run(upscaler, job, strength=strength, kept=kept))
            done += 1
        except ValueError as error:
            problems.append((job.lr, one_line(error)))
    for photo, reason in problems:
        print(f"c2m-tf: {one_line(f'{photo.name}: {reason}')}", file=sys.stderr)
    skipped = images.list_others(options.input)
    print(f"{done} upscaled, {len(problems)} failed{_skipped_in_words(skipped)}{_explained_in_words(shares)}")
    return 1 if problems else 0


def _check_reference_options(options):
    strength = options.reference_strength
    if not 0.0 <= strength <= 1.0:
        raise ValueError(
            f"--reference-strength {strength:g} lies outside [0, 1]; 0 uses nothing of the references, 1 all that fits"
        )
    if options.matches is not None and (not options.reference or strength == 0):
        raise ValueError("--matches draws where the reference shows the photo; give one with -r, and a strength above 0")


def _explained_in_words(shares):
    """How much of the photos the references explain, for the summary; empty without references."""
    known = [share for share in shares if share is not None]
    if not known:
        return ""
    return f"; references explain {min(known):.0%} to {max(known):.0%} of the photos, {sum(known) / len(known):.0%} in the mean"


def _skipped_in_words(paths):
    """Files that are not photos by their names, for the summary; empty if there are none."""
    if not paths:
        return ""
    suffixes = sorted({path.suffix.lower() or "without suffix" for path in paths})
    return f"; {len(paths)} skipped, not photos by their names ({', '.join(suffixes)})"
