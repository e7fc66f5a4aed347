"""Are a photo's references found in an album of hundreds, and are they as good as given ones?

    python benchmarks/album.py --pairs FOLDER --others FOLDER [FOLDER ...] [--number 400] [--psnr]

The album holds the references of all groups (NNN_1, NNN_2, ...) and so many other photos; for a group without those that are
its HR photo, as references of other groups may be. It prints which of the chosen photos are the group's own references, which
may stand under another group's name too, and with --psnr the PSNR on Y with these and with the given ones.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from c2m_tf import Album, Upscaler
from c2m_tf.evaluation.metrics import PROTOCOLS
from c2m_tf.photos import images


def main() -> int:
    options = _options()
    groups = sorted(path.name[:3] for path in images.list_photos(options.pairs) if path.stem.endswith("_0"))
    own = {
        group: [p for p in images.list_photos(options.pairs) if p.name.startswith(group) and not p.stem.endswith("_0")]
        for group in groups
    }
    others = [path for folder in options.others for path in images.list_photos(folder)]
    random.Random(0).shuffle(others)
    upscaler = Upscaler.from_preset(options.model, dtype="float32")
    found, figures = 0, []
    photos = {path.name: path for path in [*(path for paths in own.values() for path in paths), *others[: options.number]]}
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        Album(photos, cache=cache).index()
        kept = sum(path.stat().st_size for path in Path(cache).iterdir()) / 2**20
        print(f"{len(photos)} photos described in {time.perf_counter() - start:.0f} s, {kept:.0f} MiB", flush=True)
        for group in groups:
            hr = images.crop_to_multiple(images.as_uint8(images.read(options.pairs / f"{group}_0.png").rgb))
            lr = images.downsample(hr)
            contents = {path.read_bytes() for path in own[group]}
            names = {name for name, path in photos.items() if path.read_bytes() in contents}
            album = Album({n: path for n, path in photos.items() if not _is_hr(path, hr)}, options.references_per_photo, cache)
            start = time.perf_counter()
            with upscaler.prepare(lr, album=album) as prepared:
                words, seconds = prepared.album, time.perf_counter() - start
                hits = sum(part.split(" ")[0] in names for part in words.split(", "))
                found += hits > 0
                line = f"{group}: {hits} own; {words}; {seconds:.0f} s"
                if options.psnr:
                    psnr = [_psnr(hr, prepared.run()), _psnr(hr, upscaler(lr, own[group][: options.references_per_photo]))]
                    figures.append(psnr)
                    line += f"; {psnr[0]:.2f} dB, given {psnr[1]:.2f} dB"
            print(line, flush=True)
    print(f"own references found for {found} of {len(groups)} groups")
    if figures:
        print("mean: {:.3f} dB, given {:.3f} dB".format(*(sum(column) / len(column) for column in zip(*figures, strict=True))))
    return 0


def _is_hr(path, hr):
    """Whether a photo is the HR photo itself, cut or stored otherwise."""
    photo = images.as_uint8(images.read(path).rgb)
    small = [images.bicubic(each, (32, 32)).astype(float).mean(axis=2) for each in (photo, hr)]
    return abs(small[0] - small[1]).mean() < 6


def _psnr(hr, result):
    return PROTOCOLS["plain"].figures(hr, images.as_uint8(result.image.rgb))["psnr_y"]


def _options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True, help="folder of groups NNN_0.png, NNN_1.png, ...")
    parser.add_argument("--others", type=Path, nargs="+", required=True, help="folders of other photos")
    parser.add_argument("--number", type=int, default=400, help="of other photos (default: 400)")
    parser.add_argument("--references-per-photo", type=int, default=3, help="default: 3")
    parser.add_argument("--model", default="mobile", help="default: mobile")
    parser.add_argument("--psnr", action="store_true", help="also upscale with the chosen references and with the given ones")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
