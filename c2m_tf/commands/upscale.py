"""c2m-tf upscale: one photo, or many (`many_photos`)."""

import argparse
from contextlib import ExitStack
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from c2m_tf.commands import many_photos
from c2m_tf.commands.options import add_model_options, add_result_options, encoding_of, open_upscaler, size_of
from c2m_tf.commands.running import step_progress, track
from c2m_tf.photos.formats import Encoding
from c2m_tf.startup import say, warn

if TYPE_CHECKING:
    from c2m_tf.photos.image import Image
    from c2m_tf.upscaling.album import Album

_WORTH_SAYING, _LONG = 5, 60  # seconds


def add(commands: "argparse._SubParsersAction") -> None:
    command = commands.add_parser("upscale", help="upscale a photo, or many")
    command.set_defaults(run=_run, refuse=command.error)
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("-i", "--input", metavar="LR", help="photo, or folder of photos, to upscale")
    source.add_argument(
        "--jobs",
        metavar="TABLE",
        help="table of photos, .csv or .parquet, with the columns lr, references and output",
    )
    command.add_argument(
        "-r",
        "--reference",
        nargs="+",
        action="extend",
        default=[],
        metavar="REF",
        help="reference photos, or folders with references of the same names as the photos; without, none is used",
    )
    command.add_argument("--album", metavar="FOLDER", help="photos out of which references are chosen for each photo")
    command.add_argument(
        "--references-per-photo",
        type=int,
        default=3,
        metavar="N",
        help="how many are chosen out of an album at most (default: 3)",
    )
    command.add_argument(
        "--cache", metavar="DIR", help="where what was computed of an album is kept (default: .c2m-album in its folder)"
    )
    command.add_argument(
        "--reference-strength",
        type=float,
        default=1.0,
        metavar="S",
        help="how much of the references is used, from 0 (nothing) to 1 (all that fits; the default)",
    )
    command.add_argument("-o", "--output", metavar="OUT", help="result, or a folder for it; a folder if the input is one")
    command.add_argument(
        "--comparison",
        metavar="SHEET.png",
        help="also draw bicubic, result and reference; of many photos a folder for a sheet each",
    )
    command.add_argument(
        "--matches",
        metavar="MAP.png",
        help="also draw where the reference shows each part of the photo (one photo only)",
    )
    command.add_argument(
        "--evidence",
        metavar="FILE",
        help="also say what of the result comes from which reference: arrays as .npz, or a picture (one photo only)",
    )
    command.add_argument(
        "--region",
        metavar="X,Y,WIDTH,HEIGHT",
        help="only this part of the photo, in its pixels, to see it first: as in the whole result (one photo only)",
    )
    command.add_argument(
        "--sign",
        metavar="FILE.pem",
        help="sign the result by C2PA with this certificate and key, its photo and references as ingredients (extra c2pa; "
        "one photo only)",
    )
    add_result_options(command)
    add_model_options(command)
    many_photos.add_options(command)


def _run(options: argparse.Namespace) -> int:
    from c2m_tf.photos.image import Image

    _check_reference_options(options)
    if options.album is not None and options.reference:
        raise ValueError("--album chooses references; leave -r out, or give references without an album")
    if options.album is None and (options.cache is not None or options.references_per_photo != 3):
        raise ValueError("--cache and --references-per-photo are for --album")
    if options.jobs is None and options.output is None:
        options.refuse("the following arguments are required: -o/--output")
    if options.jobs is not None and (options.output is not None or options.reference):
        raise ValueError("--jobs names references and results in its table; leave -r and -o out")
    if options.jobs is not None and options.suffix:
        raise ValueError("--jobs names results in its table; leave --suffix out")
    encoding = encoding_of(options)
    if many_photos.is_wanted(options):
        for name in ("matches", "evidence", "region", "sign"):
            if getattr(options, name) is not None:
                raise ValueError(f"--{name} is for a single photo; give a photo as input, not a folder")
        return many_photos.run(options)
    many_photos.check_single(options)
    with ExitStack() as files:
        # Opened once, for its header and its pixels. What is no file, as a pipe, can be read only once.
        photo = files.enter_context(Image.open(options.input)) if Path(options.input).is_file() else None
        return _upscale(options, encoding, photo, files)


def _upscale(options: argparse.Namespace, encoding: Encoding, photo: "Image | None", files: ExitStack) -> int:
    """Upscales one photo; what is opened besides is closed with `files`."""
    from c2m_tf.jobs.folders import find_jobs
    from c2m_tf.photos import images
    from c2m_tf.photos.drawing import match_map
    from c2m_tf.photos.metadata import Signer
    from c2m_tf.photos.result_size import Region
    from c2m_tf.upscaling.evidence import write_evidence

    region = None if options.region is None else Region.of(options.region)
    size = size_of(options)
    read = [path for path in (options.model, options.album) if path]
    found = find_jobs(options.input, options.reference, options.output, read, options.suffix, encoding, size, region, photo)
    (job,) = found.jobs
    written = [job.output]
    for path in (options.comparison, options.matches):
        if path is not None:
            images.check_output(path, [job.lr, *job.refs, *options.reference, *read])
            written.append(path)
    if options.evidence is not None:
        if PurePath(options.evidence).suffix.lower() not in (".npz", *images.SUFFIXES):
            raise ValueError(f"--evidence {options.evidence}: give .npz for arrays, or a picture ({' '.join(images.SUFFIXES)})")
        images.check_not_input(options.evidence, [job.lr, *job.refs, *options.reference, *read])
        images.check_writable(options.evidence)
        written.append(options.evidence)
    images.check_distinct(written)
    signer = None
    if options.sign is not None:
        signer = Signer(options.sign)
        signer.check(job.output)
        images.check_not_input(job.output, [options.sign])
    upscaler = open_upscaler(options)
    album = open_album(options)
    for name in ("matches", "evidence"):
        if getattr(options, name) is not None and not upscaler.reports_matches:
            raise ValueError(f"a SavedModel does not report its matches; leave --{name} out, or give a preset or a .keras file")
    strength = options.reference_strength
    lr = files.enter_context(images.Image.open(job.lr)) if photo is None else photo
    if options.matches is not None:
        height, width, _ = lr.stored_shape
        images.check_fits(options.matches, (images.SCALE * height, images.SCALE * width))
    prepared = files.enter_context(upscaler.prepare(lr, job.refs or None, strength, size, region, album))
    prepared.check_output(job.output, encoding)
    with step_progress() as progress:
        _say_time(prepared.estimated_seconds(), options)
        result = prepared.run(progress)
        result.image.save(job.output, **encoding._asdict())
        if signer is not None:
            used = [Path(options.album, name) for name in result.evidence.names] if album and result.evidence else job.refs
            signer.sign(job.output, job.lr, used)
        if options.evidence is not None and result.evidence is not None:
            write_evidence(options.evidence, result.evidence, result.image.rgb, prepared.wanted)
        if options.comparison is not None:
            prepared.write_comparison(options.comparison, result)
    if result.preset and result.reason:
        warn(f"using {result.preset}: {result.reason} (override with --model)")
    if result.matches is not None and options.matches is not None:
        images.write(options.matches, match_map(*result.matches))
    height, width = prepared.wanted.shape
    made = f", {prepared.wanted.made}" if prepared.wanted.made else ""
    explained = "" if result.coverage is None else f"; the references explain {result.coverage:.0%} of the photo"
    if result.album:
        say(f"references: {result.album}")
    say(f"{job.output}: {width}x{height} pixels{made}{explained}")
    return 0


def open_album(options: argparse.Namespace) -> "Album | None":
    """The album that the options name, indexed; photos that cannot be read are named."""
    if options.album is None:
        return None
    from c2m_tf.upscaling.album import Album

    album = Album(options.album, options.references_per_photo, options.cache)
    album.index(lambda photos: track(photos, "album"))
    for name, reason in album.skipped.items():
        warn(f"{name} is left out of the album: {reason}")
    return album


def _say_time(seconds: float | None, options: argparse.Namespace) -> None:
    """How long it will take, and what is quicker."""
    if seconds is None or seconds < _WORTH_SAYING:
        return
    unit, length = next((unit for unit in (("hours", 3600), ("minutes", 60)) if seconds > 1.5 * unit[1]), ("seconds", 1))
    words = f"{seconds / length:.0f} {unit}"
    hints = ["--region shows a part first"] if options.region is None else []
    hints += ["--model mobile is faster"] if options.model != "mobile" and options.reference else []
    warn(f"this takes about {words}" + (f" ({', '.join(hints)})" if seconds > _LONG and hints else ""))


def _check_reference_options(options: argparse.Namespace) -> None:
    strength = options.reference_strength
    if not 0.0 <= strength <= 1.0:
        raise ValueError(
            f"--reference-strength {strength:g} lies outside [0, 1]; 0 uses nothing of the references, 1 all that fits"
        )
    for name in ("matches", "evidence"):
        if getattr(options, name) is not None and not ((options.reference or options.album) and strength > 0):
            raise ValueError(f"--{name} draws where the reference shows the photo; give one with -r, and a strength above 0")
