"""What is wrong and needs no network to be known is said before Keras is imported, which takes seconds."""

import subprocess
import sys

import numpy as np

from c2m_tf.photos import images

SCRIPT = """
import sys
from c2m_tf.cli import main
commands = {
    "none.png does not exist": "upscale -i none.png -o sr.png",
    ".webp holds at most 16,383 pixels per side": "upscale -i wide.png -o sr.webp",
    "none.keras does not exist": "upscale -i wide.png -o sr.png --model none.keras",
    "unknown preset 'huge'; choose one of light": "evaluate --pairs pairs --model huge",
    "none is not a folder": "evaluate --pairs none",
    "cannot write gone/report.json": "evaluate --pairs pairs --json gone/report.json",
    "A: gone is not a folder": "evaluate --pairs pairs --results A=gone",
    "ensemble 3 is no number of orientations": "evaluate --pairs pairs --ensemble 3",
    "cannot make folder wide.png": "demo -o wide.png",
    "unknown preset 'vast'": "demo --model vast",
    "tile 5 is not": "serve --port 0 --tile 5",
    "no.keras does not exist": "export saved-model --model no.keras -o models",
    "gone.keras does not exist": "export tflite --model gone.keras -o a.tflite",
    "nothing is not a folder": "export quantize --data nothing -o a.tflite",
    "run holds no photo": "export quantize --data run -o a.tflite",
    "wide.png is no model": "evaluate --pairs pairs --model wide.png",
    "cut.keras cannot be loaded as a Keras model": "demo --model cut.keras -o sheets",
    "photos is not a folder": "train teacher --config recipe.yaml --output run",
    "teacher: lost.h5 does not exist": "train student --config recipe.yaml --output run --set teacher=lost.h5 --set root=..",
    "away.keras does not exist": "train average light away.keras -o mean.keras",
    "pairs/log.csv does not exist": "train plot pairs",
    "x.txt: curves are drawn as PNG": "train plot run -o x.txt",
    "pairs holds a_0.png but no run": "train teacher --config recipe.yaml --set root=.. --output pairs",
    "pairs holds a_0.png but": "train --data pairs --output pairs",
    "cannot make folder wide.png/run": "train --data pairs --output wide.png/run",
    "2 lies outside [0, 1]": "train average light light --share 2 -o mean.keras",
    "left.pth does not exist": "train own-trunk-weights left.pth -o trunk.npz",
    "off.keras does not exist": "push --model off.keras folder",
    "card.md: No such file": "push --card card.md folder",
    "d.npz: the result is": "import-weights --extractor wide.png --restoration wide.png --vgg keras -o d.npz",
    "a.pth does not exist": "import-weights --extractor a.pth --restoration b.pth --vgg keras -o c.keras",
}
for words, command in commands.items():
    try:
        code = main(command.split())
    except SystemExit as error:  # of argparse, which writes the usage before
        code = error.code
    print(code, "keras" in sys.modules or "tensorflow" in sys.modules)
    print(words, file=sys.stderr)
"""
RECIPE = """
iterations: 1
batch_size: 1
optimizer: {learning_rate: 1}
data: {sources: [{kind: single, folder: photos}]}
"""


def test_missing_files_are_named_before_keras_is_imported(tmp_path):
    images.write(tmp_path / "wide.png", np.zeros((3, 5000, 3), np.uint8))
    folder = tmp_path / "work"
    (folder / "pairs").mkdir(parents=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "wide.png").rename(folder / "wide.png")
    for name in ("a_0.png", "a_1.png"):
        images.write(folder / "pairs" / name, np.zeros((12, 12, 3), np.uint8))
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "run").mkdir()
    (folder / "run/log.csv").touch()
    (folder / "cut.keras").write_bytes(b"PK\x03\x04")
    before = sorted(folder.rglob("*"))
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True, text=True, timeout=300)
    assert set(done.stdout.splitlines()) == {"2 False"}, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("usage: ", " "))]
    for said, expected in zip(lines[::2], lines[1::2], strict=True):
        assert expected in said
    assert sorted(folder.rglob("*")) == before


def test_a_sample_needs_no_keras(tmp_path):
    script = 'import sys; from c2m_tf.cli import main; print(main(["sample", "."]), "keras" in sys.modules)'
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"lr.png", "reference.jpg"}
