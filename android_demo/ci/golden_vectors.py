"""Writes golden vectors: results of the Python code that the Kotlin tests compare with.

    python android_demo/ci/golden_vectors.py [FOLDER]

Each line is a name and numbers; floats are written as the bits of float32, without loss. tests/test_android_demo.py
checks that the committed files are what this script writes.
"""

import sys
from pathlib import Path

import numpy as np

from c2m_tf.network import FEATURE_STRIDE, PATCH
from c2m_tf.photos import images
from c2m_tf.upscaling.tflite_upscaler import mirrored
from c2m_tf.upscaling.tiles import Canvas, CoarseMatches, CoarseReferences, Tile, shrinking

FOLDER = Path(__file__).parents[1] / "core/src/test/resources/golden"


def line(name: str, *values: object) -> str:
    """One line: the name and all numbers of the values; float32 as its bits."""
    numbers = []
    for value in values:
        array = np.asarray(value)
        if array.dtype.kind == "f":
            array = array.astype(np.float32).view(np.int32)
        numbers.extend(str(int(number)) for number in array.ravel())
    return " ".join([name, *numbers])


def packed(photo: np.ndarray) -> np.ndarray:
    """Pixels as 0xRRGGBB."""
    red, green, blue = (photo[..., channel].astype(int) for channel in range(3))
    return red * 65536 + green * 256 + blue


def place(tile: Tile) -> tuple[int, int, int, int]:
    """A tile in the order of the demos' fields."""
    return tile.y, tile.x, tile.height, tile.width


def bicubic_lines(random: np.random.Generator) -> list[str]:
    """Photos of noise, and their resized versions: smaller, larger, along one axis only."""
    lines = []
    for size, target in [((13, 17), (5, 7)), ((9, 8), (9, 3)), ((12, 10), (4, 10)), ((7, 6), (16, 21)), ((40, 3), (3, 3))]:
        photo = random.choice([0, 255, 128, 17], (*size, 3)).astype(np.uint8)
        result = images.bicubic(photo, target)
        lines += [line("photo", size, packed(photo)), line("resized", target, packed(result))]
    return lines


def window_lines(random: np.random.Generator) -> list[str]:
    """Matches of small photos, clustered and scattered, and the windows that they choose for tiles."""
    lines = []
    for lr_size, ref_sizes, tile, window in [
        ((120, 160), [(700, 900)], 64, 384),
        ((300, 200), [(1200, 800), (500, 3000)], 64, 256),
        ((64, 64), [(80, 500)], 64, 384),
        ((500, 333), [(2000, 1332), (1999, 1331), (90, 90)], 96, 512),
        ((20, 31), [(128, 96)], 24, 100),
    ]:

        def locate(lr: np.ndarray, references: CoarseReferences) -> tuple:
            refs = references.photos
            height, width = (side - PATCH + 1 for side in lr.shape[:2])
            cells = [[side // FEATURE_STRIDE - PATCH for side in ref.shape[:2]] for ref in refs]
            number = random.integers(0, len(refs), (height, width))
            last = np.array(cells)[number]
            spread = random.normal(0, 0.05, (height, width, 2)) + random.choice([0.2, 0.7], (1, 1, 2))
            near = np.clip((spread * last).astype(int), 0, last)
            far = (random.random((height, width, 2)) * (last + 1)).astype(int)
            match = np.where(random.random((height, width, 1)) < 0.6, near, far)
            score = random.uniform(-0.2, 1.0, (height, width)).astype(np.float32)
            lines.append(line("small", lr.shape[:2], [ref.shape[:2] for ref in refs]))
            lines.append(line("number", number))
            lines.append(line("match", match))
            lines.append(line("score", score))
            return number, match, score

        photos = [np.zeros((*size, 3), np.uint8) for size in ref_sizes]
        references = CoarseReferences(photos, shrinking(lr_size, ref_sizes))
        lines.append(line("sizes", lr_size, ref_sizes))
        coarse = CoarseMatches(np.zeros((*lr_size, 3), np.uint8), references, locate)
        for part in Canvas(*lr_size, tile, 4):
            lines.append(line("window", place(part), window, coarse.window(part, window)))
    return lines


def canvas_lines(random: np.random.Generator) -> list[str]:
    """Photos put together from tiles of random numbers."""
    lines = []
    for height, width, tile in [(24, 20, 24), (31, 45, 20), (70, 33, 28)]:
        canvas = Canvas(height, width, tile, 4)
        lines.append(line("canvas", [height, width, tile]))
        for part in canvas:
            seed = random.integers(0, 1000)
            result = pattern(seed, 4 * tile)
            canvas.add(part, result[: 4 * part.height, : 4 * part.width])
            lines.append(line("tile", place(part), seed))
        lines.append(line("sum", checksum(packed(images.as_uint8(canvas.photo())))))
    return lines


def pattern(seed: int, side: int) -> np.ndarray:
    """float32 [side,side,3] that the Kotlin test makes in the same way: too many numbers to write down."""
    index = np.arange(side * side * 3, dtype=np.int64)
    return ((index * 7919 + seed * 104729) % 1201 - 100).astype(np.float32).reshape(side, side, 3) / np.float32(1000)


def checksum(pixels: np.ndarray) -> int:
    """A number that changes with any pixel, below 2^31."""
    total = 0
    for pixel in pixels.ravel():
        total = (total * 31 + int(pixel)) % 2147483629
    return total


def pixel_lines() -> list[str]:
    """Numbers in [0, 1] and beyond, halves between two bytes among them, and the bytes that they become."""
    values = np.concatenate([np.linspace(-0.5, 1.5, 101), (np.arange(256) + 0.5) / 255]).astype(np.float32)
    return [line("value", values), line("byte", images.as_uint8(values))]


def mirrored_lines(random: np.random.Generator) -> list[str]:
    """Photos that are smaller than what a model takes, and extended."""
    lines = []
    for size, side in [((5, 7), 8), ((3, 4), 11), ((6, 6), 6)]:
        photo = random.integers(0, 256, (*size, 3)).astype(np.uint8)
        extended = mirrored(photo, side)[0]
        lines += [line("photo", size, packed(photo)), line("mirrored", side, side, packed(extended))]
    return lines


def write(folder: Path) -> None:
    """Writes all files."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(6)
    for name, lines in [
        ("bicubic", bicubic_lines(random)),
        ("windows", window_lines(random)),
        ("canvas", canvas_lines(random)),
        ("pixels", pixel_lines()),
        ("mirrored", mirrored_lines(random)),
    ]:
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
