"""The command line: c2m-tf upscale | evaluate | demo | serve | import-weights.

Exit codes: 0 all is done; 1 some photos of several failed; 2 wrong arguments or input; 130 interrupted. Every error is one
line on standard error.
"""

import argparse
import json
import signal
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

from c2m_tf.startup import one_line, start_keras

_SERVE_LIMITS = (
    ("max-bytes", 32 * 2**20, "refuse larger requests"),
    ("max-lr-pixels", 512 * 512, "refuse larger LR photos"),
    ("max-ref-pixels", 4096 * 4096, "refuse larger references"),
    ("queue", 8, "requests that may wait for their turn"),
    ("timeout", 300.0, "seconds that a request may take, waiting included"),
)
_DTYPES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command line; returns the exit code."""
    options = _parser().parse_args(arguments)
    if threading.current_thread() is threading.main_thread():
        # Stopped by the system: leave no half-written file behind.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        return options.command(options)
    except (ValueError, FileNotFoundError, ImportError) as error:
        print(f"c2m-tf: {one_line(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("c2m-tf: interrupted", file=sys.stderr)
        return 130


def _parser():
    parser = argparse.ArgumentParser(
        prog="c2m-tf", description="4x super-resolution of a photo with the help of a reference photo of the same scene."
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    upscale = commands.add_parser("upscale", help="upscale a photo, or a folder of photos")
    upscale.set_defaults(command=_upscale)
    upscale.add_argument("-i", "--input", required=True, metavar="LR", help="photo, or folder of photos, to upscale")
    upscale.add_argument(
        "-r",
        "--reference",
        required=True,
        nargs="+",
        metavar="REF",
        help="reference photos, or folders with references of the same names as the photos",
    )
    upscale.add_argument("-o", "--output", required=True, metavar="OUT", help="result; a folder if the input is one")
    upscale.add_argument("--comparison", metavar="SHEET.png", help="also draw bicubic, result and reference (one photo only)")
    upscale.add_argument(
        "--matches", metavar="MAP.png", help="also draw where the reference shows each part of the photo (one photo only)"
    )
    _add_model(upscale)

    evaluate = commands.add_parser("evaluate", help="PSNR and SSIM on a folder of HR photos and references")
    evaluate.set_defaults(command=_evaluate)
    evaluate.add_argument(
        "--pairs", required=True, metavar="FOLDER", help="NNN_0 (HR), NNN_1, ... (references); or folders input and ref"
    )
    evaluate.add_argument(
        "--references",
        choices=("1", "all", "none", "shuffled"),
        default="1",
        help="first, all, none (the LR photo itself), or the next group's (default: 1)",
    )
    evaluate.add_argument(
        "--protocol", choices=("plain", "paper"), default="plain", help="paper pads as the released code (default: plain)"
    )
    evaluate.add_argument("--json", metavar="FILE", help="also write the figures to a JSON file")
    evaluate.add_argument("--sheet", metavar="FILE.png", help="also draw the best, the median and the worst result")
    evaluate.add_argument("--save-images", metavar="DIR", help="also write each result as DIR/NNN.png")
    _add_model(evaluate)

    demo = commands.add_parser("demo", help="upscale a photo that ships with scikit-image; writes pictures to look at")
    demo.set_defaults(command=_demo)
    demo.add_argument("-o", "--output", default="demo_output", metavar="DIR", help="default: demo_output")
    _add_model(demo)

    serve = commands.add_parser("serve", help="an HTTP server with a web page (extra serve)")
    serve.set_defaults(command=_serve)
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="default: 8000; 0 takes a free one")
    for name, value, meaning in _SERVE_LIMITS:
        serve.add_argument(f"--{name}", type=type(value), default=value, metavar="N", help=f"{meaning} (default: {value:,})")
    _add_model(serve)

    importer = commands.add_parser("import-weights", help="make a .keras file of published PyTorch checkpoints")
    importer.set_defaults(command=_import_weights)
    importer.add_argument("--extractor", required=True, metavar="PTH", help="feature_extraction.pth")
    importer.add_argument("--restoration", required=True, metavar="PTH", help="c2_matching_restoration[_mse].pth, or light")
    importer.add_argument(
        "--vgg",
        required=True,
        metavar="VGG",
        help='vgg19-dcbb9e9d.pth (what the published weights were trained with), an .npz of Keras arrays, or "keras"',
    )
    importer.add_argument(
        "--discriminator", metavar="PTH", help="critic; written beside OUT as OUT's name + .discriminator.keras"
    )
    importer.add_argument("-o", "--output", required=True, metavar="OUT.keras", help="file to write")
    return parser


def _add_model(command):
    command.add_argument(
        "--model",
        default="light",
        metavar="MODEL",
        help="preset, .keras file, exported .tflite file, or folder of an exported SavedModel (default: light)",
    )
    command.add_argument(
        "--precision",
        choices=tuple(_DTYPES),
        help="of the convolutions (default: float32 for presets, a file's own for files)",
    )
    command.add_argument(
        "--search", choices=("auto", "exact", "window"), default="auto", help="exact for small photos, windows for large (auto)"
    )
    command.add_argument("--tile", type=int, metavar="PIXELS", help="side of the tiles of the LR photo (default: 96)")
    command.add_argument("--window", type=int, metavar="PIXELS", help="side of the reference's windows (default: 512)")
    command.add_argument(
        "--max-memory", type=float, metavar="GIB", help="memory that a photo may need (default: 75 %% of the machine's)"
    )


def _upscaler(options):
    from c2m_tf.upscaling.opening import open_upscaler

    allowed = None if options.max_memory is None else int(options.max_memory * 2**30)
    dtype = _DTYPES.get(options.precision)
    return open_upscaler(options.model, dtype, allowed, options.search, options.tile, options.window)


def _upscale(options):
    from c2m_tf.photos import images
    from c2m_tf.upscaling import batch

    jobs, problems = batch.plan(options.input, options.reference, options.output)
    single = not Path(options.input).is_dir()
    written = [options.output]
    for name, path in (("comparison", options.comparison), ("matches", options.matches)):
        if path is None:
            continue
        if not single:
            raise ValueError(f"--{name} draws one photo; give a photo as input, not a folder")
        images.check_output(path, [options.input, *options.reference])
        if any(Path(path).resolve() == Path(other).resolve() for other in written):
            raise ValueError(f"--{name} {path} is the name of another result too; give each its own")
        written.append(path)
    upscaler = _upscaler(options)
    if single:
        with _tile_progress() as progress:
            batch.run(upscaler, jobs[0], options.comparison, options.matches, progress)
        return 0
    done = 0
    for job in _progress(jobs, "upscaling"):
        try:
            batch.run(upscaler, job)
            done += 1
        except ValueError as error:
            problems.append((job.lr, one_line(error)))
    for photo, reason in problems:
        print(f"c2m-tf: {photo.name}: {reason}", file=sys.stderr)
    print(f"{done} upscaled, {len(problems)} failed")
    return 1 if problems else 0


def _evaluate(options):
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
    upscaler = _upscaler(options)
    results, problems = [], []
    for group in _progress(groups, "evaluating"):
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


def _demo(options):
    start_keras()
    from c2m_tf.evaluation import demo

    figures = demo.run(_upscaler(options), options.output)
    print(f"bicubic      {figures['bicubic_psnr_y']:.2f} dB PSNR, {figures['bicubic_ssim_y']:.4f} SSIM on Y")
    print(f"C2-Matching  {figures['psnr_y']:.2f} dB PSNR, {figures['ssim_y']:.4f} SSIM on Y")
    print(f"pictures: {', '.join(f'{options.output}/{name}.png' for name in ('lr', 'ref', 'bicubic', 'sr', 'comparison'))}")
    return 0


def _serve(options):
    try:
        from c2m_tf.server.app import Limits, run_server
    except ImportError as error:
        raise ImportError(f"{one_line(error)}; serving needs: pip install 'c2m-tf[serve]'") from error

    limits = Limits(**{name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name, *_ in _SERVE_LIMITS})
    run_server(_upscaler(options), options.model, limits, options.host, options.port)
    return 0


def _import_weights(options):
    start_keras()
    from c2m_tf.weights.importer import import_weights

    for path, variant in import_weights(
        options.extractor, options.restoration, options.vgg, options.output, options.discriminator
    ):
        print(f"wrote {path} ({variant})")
    return 0


@contextmanager
def _tile_progress():
    """A progress bar that appears with the second tile, so that small photos need none."""
    from rich.console import Console
    from rich.progress import Progress

    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task("upscaling")
    started = []

    def show(done, total):
        if total > 1 and not started:
            bar.start()
            started.append(True)
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        if started:
            bar.stop()


def _progress(items, title):
    from rich.console import Console
    from rich.progress import track

    return track(items, description=title, console=Console(stderr=True))


if __name__ == "__main__":
    sys.exit(main())
