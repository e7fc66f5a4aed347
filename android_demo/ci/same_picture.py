"""Upscales a photo with the Kotlin pipeline on a JVM and with Python, both over the exported int8 model; compares the pictures.

    python android_demo/ci/same_picture.py libLiteRt.so CLASSPATH FOLDER [LR REF]

Without LR and REF a photo that ships with scikit-image is used, and another view of it as its reference. The photo is upscaled
with its reference, and alone. Exit code 1 if a pixel differs.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import skimage

from c2m_tf.cli import main as c2m_tf
from c2m_tf.evaluation.demo import other_view
from c2m_tf.photos import images

MODEL = "c2m_mobile_int8.tflite"


def photos(folder: Path) -> tuple[Path, Path]:
    """Paths of an LR photo of two tiles, and of its reference."""
    hr = images.crop_to_multiple(skimage.data.coffee())
    lr, ref = folder / "lr.png", folder / "ref.png"
    images.write(lr, images.downsample(hr)[10:90, 20:84])
    images.write(ref, other_view(hr))
    return lr, ref


def main(library: str, classpath: str, folder: str, *chosen: str) -> int:
    """Compares; returns the exit code."""
    folder = Path(folder)
    model = folder / MODEL
    lr, ref = (Path(path) for path in chosen) if chosen else photos(folder)
    if c2m_tf(["export", "tflite", "--model", "mobile", "--precision", "int8", "-o", str(model)]) != 0:
        return 1
    java = ["java", "-cp", classpath, "org.c2mtf.jvm.MainKt", library, str(model), str(lr)]
    for kind, refs in (("", [ref]), ("_alone", [])):
        kotlin, python = folder / f"sr_kotlin{kind}.png", folder / f"sr_python{kind}.png"
        named = [argument for path in refs for argument in ("-r", str(path))]
        if c2m_tf(["upscale", "--model", str(model), "-i", str(lr), *named, "-o", str(python)]) != 0:
            return 1
        done = subprocess.run([*java, str(kotlin), *map(str, refs)], capture_output=True, text=True)
        if done.returncode != 0:
            print(done.stderr, file=sys.stderr)
            return 1
        difference = np.abs(images.read(kotlin).rgb - images.read(python).rgb)
        if difference.max() > 0:
            count, most = np.count_nonzero(difference), 255 * difference.max()
            print(f"android_demo: {kotlin.name}: {count} numbers differ, by {most:.0f}/255 at most")
            return 1
    print("android_demo: the Kotlin pipeline gives the same pictures as c2m-tf, with a reference and without, byte for byte")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
