"""Photos for the page and its tests, of the photo that ships with scikit-image and another view of it.

python web_demo/ci/photos.py sample                # public/sample: the pair that visitors may try
python web_demo/ci/photos.py expected FILE.tflite  # .build: a pair, and what c2m-tf makes of it with that model
"""

import sys
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

from c2m_tf import Upscaler
from c2m_tf.evaluation.demo import other_view
from c2m_tf.photos import images

FOLDER = Path(__file__).parents[1]


def sample(folder: Path) -> None:
    """Writes lr.png, four tiles of 64, and reference.jpg."""
    folder.mkdir(parents=True, exist_ok=True)
    hr = skimage.data.coffee()[:, 60:508]
    images.write(folder / "lr.png", images.downsample(hr))
    images.write(folder / "reference.jpg", other_view(hr))


def expected(folder: Path, model: str) -> None:
    """Writes a pair of two tiles, lr.png and ref.png, with the result and the evidence of `model`; and what tests take."""
    folder.mkdir(parents=True, exist_ok=True)
    hr = images.crop_to_multiple(skimage.data.coffee())
    lr, ref = images.downsample(hr)[10:90, 20:84], other_view(hr)
    images.write(folder / "lr.png", lr)
    images.write(folder / "ref.png", ref)
    # Five columns are hidden, in the colours of the nearest that is visible; those after them are ever more visible.
    part = lr[:24, :30].copy()
    part[:, :5] = part[:, 5:6]
    alpha = np.clip(12 * (np.arange(30) - 4), 0, 255).astype(np.uint8)
    photo = Image.fromarray(np.dstack([part, np.repeat(alpha[None], 24, axis=0)]))
    exif = photo.getexif()
    exif[0x0112] = 6  # turned by a quarter: 24 columns and 30 rows once upright
    photo.save(folder / "turned.png", exif=exif)
    images.write(folder / "gray.png", lr[:24, :30], gray=True)
    (folder / "broken.png").write_bytes((folder / "lr.png").read_bytes()[:2000])
    (folder / "text.png").write_text("no photo\n")
    (folder / "empty.png").write_bytes(b"")
    upscaler = Upscaler.from_preset(model)
    for name in ("lr", "turned", "gray"):
        result = upscaler(folder / f"{name}.png", folder / "ref.png")
        result.image.save(folder / f"{name}-sr.png")
        Image.fromarray(result.evidence.layer()).save(folder / f"{name}-evidence.png")


if __name__ == "__main__":
    if sys.argv[1:] == ["sample"]:
        sample(FOLDER / "public/sample")
    elif len(sys.argv) == 3 and sys.argv[1] == "expected":
        expected(FOLDER / ".build", sys.argv[2])
    else:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
