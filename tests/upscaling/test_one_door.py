"""One photo gives the same bytes by every door: Python, command line, folder, table of jobs and HTTP."""

import io

import numpy as np
import pytest
from colour_profiles import P3
from PIL import Image
from skimage import data

from c2m_tf import Image as Photo
from c2m_tf import Upscaler
from c2m_tf.cli import main
from c2m_tf.photos.degradations import degradation_named
from c2m_tf.upscaling import opening
from c2m_tf.upscaling.keras_upscaler import KerasUpscaler
from c2m_tf.upscaling.opening import CLEAN, DEGRADED

HR = data.astronaut()[:160, 160:352]
LR = degradation_named("bicubic")(HR, np.random.RandomState(0))


class Inverting(KerasUpscaler):
    """A second model: the first one's results, light for dark."""

    def restore(self, *arguments, **options):
        restored = super().restore(*arguments, **options)
        return restored._replace(rgb=1 - restored.rgb)


@pytest.fixture(scope="module")
def models(tiny):
    return {CLEAN: KerasUpscaler(tiny), DEGRADED: Inverting(tiny)}


@pytest.fixture(autouse=True)
def two_presets(models, monkeypatch):
    monkeypatch.setattr(opening, "open_model", lambda source, **settings: models[source])


def exif(**tags):
    found = Image.Exif()
    for tag, value in tags.items():
        found[getattr(Image.ExifTags.Base, tag)] = value
    return found


def alpha():
    values = np.full(LR.shape[:2], 255, np.uint8)
    values[:, :10], values[:, 10:20] = 0, 99
    return Image.fromarray(values)


def with_alpha():
    photo = Image.fromarray(LR)
    photo.putalpha(alpha())
    return photo


# Kind: file name, picture, how it is saved, preset that it needs, mode of the result.
PHOTOS = {
    "clean": ("a.png", Image.fromarray(LR), {}, CLEAN, "RGB"),
    "jpeg": ("a.jpg", Image.fromarray(LR), {"quality": 75}, DEGRADED, "RGB"),
    "alpha and profile": ("a.png", with_alpha(), {"icc_profile": P3}, CLEAN, "RGBA"),
    "gray": ("a.png", Image.fromarray(LR).convert("L"), {}, CLEAN, "L"),
    "16 bits": ("a.png", Image.fromarray(LR[..., 0].astype(np.uint16) * 257), {}, CLEAN, "L"),
    "turned": ("a.jpg", Image.fromarray(LR), {"quality": 98, "exif": exif(Orientation=6, Make="C2M")}, CLEAN, "RGB"),
}


@pytest.fixture(params=PHOTOS)
def photo(request, tmp_path):
    """Folder with the photo in lr/ and a reference of another colour space in ref/; preset and mode of the result."""
    name, picture, options, preset, mode = PHOTOS[request.param]
    for folder in ("lr", "ref"):
        (tmp_path / folder).mkdir()
    picture.save(tmp_path / "lr" / name, **options)
    Image.fromarray(HR[:80, :96]).save(tmp_path / "ref/a.png", icc_profile=P3)
    return tmp_path, tmp_path / "lr" / name, preset, mode


def by_python(given, references, folder):
    result = Upscaler.from_preset("auto")(given, references)
    result.image.save(folder / "python.png")
    return (folder / "python.png").read_bytes(), result


def by_command(arguments, output):
    assert main(["upscale", *map(str, arguments)]) == 0
    return output.read_bytes()


@pytest.mark.parametrize("number", [0, 1], ids=["alone", "with a reference"])
def test_every_door_gives_the_same_bytes(photo, number):
    folder, lr, preset, mode = photo
    references = [folder / "ref/a.png"][:number]
    given = ["-r", *references][: 2 * number]
    expected, result = by_python(lr, references or None, folder)

    assert result.preset == preset
    assert (result.coverage is None) == (number == 0)
    with Image.open(io.BytesIO(expected)) as written, Image.open(lr) as file:
        assert written.mode == mode
        assert written.info.get("icc_profile") == file.info.get("icc_profile")
        assert written.getexif().get(Image.ExifTags.Base.Make) == file.getexif().get(Image.ExifTags.Base.Make)
        assert Image.ExifTags.Base.Orientation not in written.getexif()
        pixels = np.asarray(written)
    np.testing.assert_array_equal(np.asarray(result.image), pixels)
    np.testing.assert_array_equal(np.asarray(result.image.to_pil()), pixels)

    with Image.open(lr) as opened, lr.open("rb") as file:
        for same in (lr.read_bytes(), str(lr), file, opened, Photo.open(lr)):
            assert by_python(same, references or None, folder)[0] == expected
    assert by_command(["-i", lr, *given, "-o", folder / "sr.png"], folder / "sr.png") == expected
    assert by_command(["-i", folder / "lr", *given, "-o", folder / "sr"], folder / "sr/a.png") == expected
    table = f"lr,references,output\n{lr},{''.join(map(str, references))},{folder}/table.png\n"
    (folder / "jobs.csv").write_text(table)
    assert by_command(["--jobs", folder / "jobs.csv"], folder / "table.png") == expected
    ((_, outcome),) = Upscaler.from_preset("auto").upscale_folder(folder / "lr", references, folder / "again")
    assert outcome.status == "made"
    assert (folder / "again/a.png").read_bytes() == expected


@pytest.mark.parametrize("number", [0, 1], ids=["alone", "with a reference"])
def test_the_server_gives_the_same_bytes(photo, number):
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from serving import local_client

    from c2m_tf.server.app import create_app
    from c2m_tf.server.limits import Limits

    folder, lr, _, _ = photo
    references = [folder / "ref/a.png"][:number]
    sent = [("lr", lr.read_bytes()), *(("ref", (path.name, path.read_bytes())) for path in references)]
    with local_client(create_app(Upscaler.from_preset("auto"), "auto", Limits())) as client:
        answer = client.post("/v1/upscale", files=sent)
    assert answer.status_code == 200
    assert answer.content == by_python(lr, references or None, folder)[0]


def test_a_photo_is_cut_into_the_tiles_of_the_preset_that_it_chooses(models):
    hr = np.tile(HR, (4, 3, 1))
    large = degradation_named("bicubic")(hr, np.random.RandomState(0))
    chosen, named = Upscaler.from_preset("auto")(large, hr), Upscaler(models[CLEAN])(large, hr)
    assert chosen.tiles == named.tiles > 1
    np.testing.assert_array_equal(chosen.image.rgb, named.image.rgb)


def test_an_array_is_what_its_file_is(tmp_path):
    Image.fromarray(LR).save(tmp_path / "lr.png")
    upscaler = Upscaler.from_preset("auto")
    np.testing.assert_array_equal(np.asarray(upscaler(LR).image), np.asarray(upscaler(tmp_path / "lr.png").image))
    np.testing.assert_array_equal(np.asarray(upscaler(LR).image), np.asarray(upscaler(LR / 255.0).image))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "LA", "RGBX", "La", "RGBa", "PA"]
)
def test_pictures_of_pillow_are_taken_in_every_mode(mode):
    source = Image.fromarray(LR)
    through = {"La": "LA", "RGBa": "RGBA", "LAB": None, "PA": "P"}
    if mode == "LAB":
        from PIL import ImageCms

        transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        picture = ImageCms.applyTransform(source, transform)
    else:
        picture = source.convert(through[mode]).convert(mode) if through.get(mode) else source.convert(mode)
    before = picture.tobytes()
    opened = Photo.open(picture)
    assert opened.rgb.shape == LR.shape
    assert (opened.alpha is not None) == (mode in ("RGBA", "LA", "La", "RGBa", "PA"))
    assert opened.gray == (mode in ("1", "L", "LA", "La"))
    assert picture.tobytes() == before


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pictures_of_unknown_range_are_refused(mode):
    with pytest.raises(ValueError, match=f"the LR photo has 32 bits per pixel .mode {mode}., whose range is unknown"):
        Upscaler.from_preset("auto")(Image.new(mode, (8, 8)))
