"""c2m-tf train --data FOLDER: a model trained on a folder of photos, with nothing else given."""

import numpy as np
import pytest
from skimage import data
from tiny_models import equal, tiny_mobile, tiny_model
from training_runs import rows

from c2m_tf.cli import main
from c2m_tf.evaluation.groups import find_groups
from c2m_tf.photos import images
from c2m_tf.presets import load_model

SMALL = [
    f"--set={setting}" for setting in ("iterations=2", "batch_size=1", "data.lr_size=8", "data.ref_size=32", "dtype=float32")
]


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """A working folder with three photos."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, photo in {"a": data.astronaut(), "b": data.coffee(), "c": data.chelsea()}.items():
        images.write(f"photos/{name}.png", photo[:200, :240])
    return tmp_path / "photos"


@pytest.mark.parametrize("new", [tiny_model, pytest.param(tiny_mobile, marks=pytest.mark.slow)])
def test_a_model_is_trained_on_photos_and_judged_by_one_that_was_held_back(photos, tmp_path, capsys, new):
    start = new()
    start.save("start.keras")
    assert main(["train", "--data", "photos", "--start", "start.keras", *SMALL]) == 0
    run = tmp_path / "runs/mine"
    before, after = rows(run)
    assert [before["iteration"], after["iteration"]] == ["0", "2"]
    best = max(float(before["psnr_y"]), float(after["psnr_y"]))
    assert f"2 iterations; psnr_y {best:.4g} at its best, {float(before['psnr_y']):.4g} at the start" in capsys.readouterr().out
    middle = images.read(photos / "c.png").rgb[20:180, 40:200]
    np.testing.assert_array_equal(images.read(run / "validation/000_0.png").rgb, middle)

    assert [len(group.references) for group in find_groups(run / "validation")] == [1]
    assert equal(load_model(run / "best.keras"), start) == (best == float(before["psnr_y"]))
    last = load_model(run / "last.keras")
    assert last.arguments == start.arguments
    assert not equal(last, start)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "needs --data FOLDER, photos to train on; or a stage: teacher, student"),
        (["--data", "nowhere"], "nowhere is not a folder"),
        (["--data", "one"], "one holds one photo; expected are two or more"),
        (["--data", "small"], "b.png has 80x90 pixels, at least 160x160 are needed"),
        (["--data", "photos", "--start", "lighter"], "unknown preset 'lighter'"),
        (["--data", "photos", "--set", "iteration=3"], "did you mean iterations?"),
    ],
)
def test_what_cannot_be_trained_on_is_one_line(photos, tmp_path, capsys, arguments, words):
    for folder, side in (("one", 200), ("small", 90)):
        (tmp_path / folder).mkdir()
        images.write(f"{folder}/b.png", data.coffee()[:side, : side - 10])
    images.write("small/a.png", data.coffee()[:200, :200])  # what is held back is too small
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()
