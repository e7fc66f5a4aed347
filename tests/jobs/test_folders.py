"""Folders of photos: references are optional, and one that many photos share is read and encoded once."""

import numpy as np
import pytest

from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler


class CountingUpscaler(KerasUpscaler):
    """Counts how often references are encoded."""

    encoded = 0

    def _encoded(self, reference, report):
        self.encoded += reference.encoded is None
        return super()._encoded(reference, report)


@pytest.fixture
def folder(tmp_path, rng):
    """Three LR photos and a reference."""
    (tmp_path / "lr").mkdir()
    for name in "abc":
        images.write(tmp_path / f"lr/{name}.png", rng.random((12, 16, 3), np.float32))
    images.write(tmp_path / "ref.png", rng.random((48, 60, 3), np.float32))
    return tmp_path


def test_a_shared_reference_is_encoded_once(folder, tiny):
    model = CountingUpscaler(tiny)
    seen = []
    done = Upscaler(model).upscale_folder(
        folder / "lr", folder / "ref.png", folder / "sr", progress=lambda *counts: seen.append(counts)
    )
    assert model.encoded == 1
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for job, outcome in done:
        assert outcome.status == "made"
        assert 0 <= outcome.explained <= 1
        alone = Upscaler(tiny)(job.lr, folder / "ref.png")
        np.testing.assert_array_equal(np.asarray(images.read(job.output)), np.asarray(alone.image))


def test_no_references_equals_strength_0(folder, tiny, capsys):
    tiny.save(folder / "m.keras")
    common = ["upscale", "-i", f"{folder}/lr/a.png", "--model", f"{folder}/m.keras"]
    assert main([*common, "-o", f"{folder}/alone.png"]) == 0
    assert main([*common, "-o", f"{folder}/zero.png", "-r", f"{folder}/ref.png", "--reference-strength", "0"]) == 0
    assert "explain" not in capsys.readouterr().out
    assert (folder / "alone.png").read_bytes() == (folder / "zero.png").read_bytes()
    assert main([*common, "-o", f"{folder}/one.png", "-r", f"{folder}/ref.png", "--comparison", f"{folder}/sheet.png"]) == 0
    assert "the references explain 0% of the photo" in capsys.readouterr().out
    assert (folder / "alone.png").read_bytes() != (folder / "one.png").read_bytes()
    assert main([*common[:2], f"{folder}/lr", "-o", f"{folder}/all", "--model", f"{folder}/m.keras"]) == 0
    assert capsys.readouterr().out == "3 upscaled, 0 failed\n"
    assert (folder / "all/a.png").read_bytes() == (folder / "alone.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--reference-strength", "1.5"], "--reference-strength 1.5 lies outside [0, 1]"),
        (["--reference-strength", "nan"], "--reference-strength nan lies outside [0, 1]"),
        (["--matches", "{}/map.png"], "--matches draws where the reference shows the photo; give one with -r"),
        (["--matches", "{}/map.png", "-r", "{}/ref.png", "--reference-strength", "0"], "and a strength above 0"),
    ],
)
def test_reference_options_that_make_no_sense_are_refused(folder, capsys, arguments, words):
    command = ["upscale", "-i", f"{folder}/lr/a.png", "-o", f"{folder}/sr.png"]
    assert main([*command, *(argument.format(folder) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not (folder / "sr.png").exists()
