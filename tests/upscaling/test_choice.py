"""The preset that a photo's quality chooses, for one photo and for many."""

import csv

import numpy as np
import pytest
from PIL import Image
from skimage import data

from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.photos.degradations import degradation_named
from c2m_tf.photos.quality import PhotoQuality, quality_of
from c2m_tf.upscaling import opening
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler
from c2m_tf.upscaling.opening import CLEAN, DEGRADED, choose


@pytest.mark.parametrize(
    ("quality", "preset", "reason"),
    [
        (PhotoQuality(None, None, None, None), CLEAN, "the photo looks clean"),
        (PhotoQuality(95, 2.2, 0.1, 0.2), CLEAN, "the photo looks clean"),
        (PhotoQuality(94, 1.0, -0.5, -0.5), DEGRADED, "JPEG quality 94"),
        (PhotoQuality(None, 2.3, -0.5, -0.5), DEGRADED, "noise of 2.3 grey levels"),
        (PhotoQuality(None, None, 0.2, -0.5), DEGRADED, "blur"),
        (PhotoQuality(None, None, -0.5, 0.3), DEGRADED, "downsampling by averaging"),
        (PhotoQuality(30, 2.5, 0.2, 0.3), DEGRADED, "JPEG quality 30, noise of 2.5 grey levels"),
    ],
)
def test_each_fault_chooses_the_preset_for_degraded_photos(quality, preset, reason):
    assert choose(quality) == (preset, reason)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bicubic", "the photo looks clean"),
        ("lanczos", "the photo looks clean"),
        ("area", "downsampling by averaging"),
        ("blur", "blur"),
    ],
)
@pytest.mark.parametrize("photo", ["astronaut", "chelsea", "coffee", "rocket"])
def test_the_way_of_downsampling_is_told(photo, name, reason):
    hr = images.crop_to_multiple(getattr(data, photo)())
    lr = degradation_named(name)(hr, np.random.RandomState(0))
    assert choose(quality_of(images.Image(lr))).reason == reason


@pytest.fixture
def opened(tiny, monkeypatch):
    """Names of the presets that were opened; both are the golden model here."""
    names = []

    def open_model(source, **settings):
        names.append(source)
        return KerasUpscaler(tiny)

    monkeypatch.setattr(opening, "open_model", open_model)
    return names


@pytest.fixture
def folder(tmp_path):
    """Four LR photos of 40x48 pixels: two clean, a JPEG file, and a PNG with noise; and a reference."""
    (tmp_path / "lr").mkdir()
    hr = data.astronaut()[:160, 160:352]
    clean, noisy = (degradation_named(name)(hr, np.random.RandomState(0)) for name in ("bicubic", "noise8"))
    images.write(tmp_path / "lr/a.png", clean)
    Image.fromarray(clean).save(tmp_path / "lr/b.jpg", quality=60)
    images.write(tmp_path / "lr/c.png", clean)
    images.write(tmp_path / "lr/d.png", noisy)
    images.write(tmp_path / "ref.png", hr[:32, :40])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.png", f"using {CLEAN}: the photo looks clean"),
        ("b.jpg", f"using {DEGRADED}: JPEG quality 60"),
        ("d.png", f"using {DEGRADED}: noise of"),
    ],
)
def test_the_choice_is_said_in_one_line(folder, opened, capsys, name, said):
    command = ["upscale", "-i", f"{folder}/lr/{name}", "-r", f"{folder}/ref.png", "-o", f"{folder}/sr.png", "--model", "auto"]
    assert main(command) == 0
    error = capsys.readouterr().err
    assert error.startswith(f"c2m-tf: {said}")
    assert error.count("\n") == 1
    assert opened == [said.split()[1].rstrip(":")]
    assert images.read(folder / "sr.png").rgb.shape == (160, 192, 3)


def test_each_photo_of_a_folder_gets_its_model_and_each_model_is_opened_once(folder, opened, capsys):
    (folder / "lr/e.png").write_bytes(b"damaged")
    command = ["upscale", "-i", f"{folder}/lr", "-r", f"{folder}/ref.png", "-o", f"{folder}/sr", "--model", "auto"]
    assert main([*command, "--report", f"{folder}/report.csv"]) == 1
    assert opened == [CLEAN, DEGRADED]
    said = "c2m-tf: took light-photo for 2, mobile for 2 of 4 photos (--report says why, --model takes another)"
    assert said in capsys.readouterr().err
    with (folder / "report.csv").open(newline="") as file:
        rows = {row["name"][-5:]: row["model"] for row in csv.DictReader(file)}
    assert rows.pop("d.png").startswith("light-photo: noise of")
    assert rows == {
        "a.png": "mobile: the photo looks clean",
        "b.jpg": "light-photo: JPEG quality 60",
        "c.png": "mobile: the photo looks clean",
        "e.png": "",
    }


def test_what_cannot_be_upscaled_is_refused_before_a_model_is_opened(folder, opened, capsys):
    command = ["upscale", "-i", f"{folder}/lr/a.png", "-o", f"{folder}/sr.png", "--model", "auto"]
    assert main([*command, "--max-memory", "0.01"]) == 2
    assert "needs about" in capsys.readouterr().err
    assert main([*command, "--tile", "3"]) == 2
    assert "tile 3 is not a positive multiple of 4" in capsys.readouterr().err
    images.write(folder / "small.png", np.zeros((2, 9, 3)))
    assert main(["upscale", "-i", f"{folder}/small.png", *command[3:]]) == 2
    assert "LR photo" in capsys.readouterr().err
    assert opened == []
    assert not (folder / "sr.png").exists()


def test_evaluation_chooses_where_it_is_told_to(folder, opened, capsys):
    images.write(folder / "lr/a_0.png", data.astronaut()[:160, 160:352])
    assert main(["evaluate", "--pairs", f"{folder}/lr", "--references", "none", "--model", "auto"]) == 0
    assert opened == [CLEAN]


def test_upscale_chooses_unless_told_otherwise(folder, capsys):
    assert main(["upscale", "-i", f"{folder}/lr/b.jpg", "-o", f"{folder}/sr.png"]) == 0
    assert f"using {DEGRADED}: JPEG quality 60" in capsys.readouterr().err
    assert main(["upscale", "-i", f"{folder}/lr/b.jpg", "-o", f"{folder}/named.png", "--model", DEGRADED]) == 0
    assert capsys.readouterr().err == ""
    assert (folder / "named.png").read_bytes() == (folder / "sr.png").read_bytes()
