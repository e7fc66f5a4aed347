"""What results are, by options of the command line: format, name, metadata, and the line that says where they lie."""

import numpy as np
import pytest
from PIL import Image
from plain_upscaler import PlainUpscaler

from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.upscaling import opening
from c2m_tf.upscaling.upscaler import PreparedPhoto, Upscaler


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setattr(opening, "open_model", lambda source, **settings: PlainUpscaler())


@pytest.fixture
def folder(tmp_path, rng):
    """A folder with the photo lr.jpg, whose EXIF names its camera, and two photos in lr/."""
    exif = Image.Exif()
    exif[Image.ExifTags.Base.Make] = "C2M"
    photo = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    (tmp_path / "lr").mkdir()
    for name in ("lr.jpg", "lr/a.jpg", "lr/b.jpg"):
        photo.save(tmp_path / name, exif=exif)
    return tmp_path


def upscale(folder, *options, source="lr.jpg", output="sr.png"):
    return main(["upscale", "-i", f"{folder}/{source}", "-o", f"{folder}/{output}", "--model", "light", *options])


def test_the_file_is_said_in_a_line(folder, capsys):
    assert upscale(folder) == 0
    assert capsys.readouterr().out == f"{folder}/sr.png: 48x36 pixels\n"


def test_a_photo_goes_into_a_folder_by_its_name(folder, capsys):
    assert upscale(folder, "--suffix", "_4x", output="sr/") == 0
    assert upscale(folder, "--suffix=_4x.webp", "--quality", "lossless", output="sr") == 0
    assert capsys.readouterr().out == f"{folder}/sr/lr_4x.png: 48x36 pixels\n{folder}/sr/lr_4x.webp: 48x36 pixels\n"
    np.testing.assert_array_equal(images.read(folder / "sr/lr_4x.png").rgb, images.read(folder / "sr/lr_4x.webp").rgb)
    images.write(folder / "sr/lr.png", np.zeros((5, 5, 3), np.uint8))
    assert upscale(folder, output="sr") == 2
    assert "sr/lr.png is there and has 5x5 pixels, a result of lr.jpg has 48x36; name" in capsys.readouterr().err


def test_a_folder_s_results_take_a_suffix_and_a_format(folder, capsys):
    options = ("--suffix", "_4x.jpg", "--quality", "50")
    assert upscale(folder, *options, source="lr", output="sr") == 0
    assert capsys.readouterr().out == "2 upscaled, 0 failed\n"
    assert sorted(path.name for path in (folder / "sr").iterdir()) == ["a_4x.jpg", "b_4x.jpg"]
    # In the photos' own folder results are known by that name.
    for done in ("2 upscaled, 0 failed", "0 upscaled, 0 failed, 2 there already"):
        assert upscale(folder, *options, source="lr", output="lr") == 0
        assert capsys.readouterr().out.startswith(done)


def test_quality_bounds_the_bytes(folder):
    for quality in (10, 95):
        assert upscale(folder, "--quality", f"{quality}", output=f"{quality}.jpg") == 0
    assert upscale(folder, output="default.jpg") == 0
    assert (folder / "10.jpg").stat().st_size < (folder / "95.jpg").stat().st_size
    assert (folder / "default.jpg").read_bytes() == (folder / "95.jpg").read_bytes()


def test_metadata_is_kept_unless_it_is_left_out(folder):
    assert upscale(folder) == upscale(folder, "--no-metadata", output="bare.png") == 0
    with Image.open(folder / "sr.png") as kept, Image.open(folder / "bare.png") as bare:
        assert dict(kept.getexif()) == {Image.ExifTags.Base.Make: "C2M"}
        assert not bare.getexif()


def test_a_certificate_that_does_not_fit_is_refused_before_work(folder, capsys):
    pytest.importorskip("c2pa")
    assert upscale(folder, "--sign", f"{folder}/none.pem") == 2
    assert "cannot read" in capsys.readouterr().err
    assert upscale(folder, "--sign", f"{folder}/none.pem", source="lr", output="sr") == 2
    assert "--sign is for a single photo" in capsys.readouterr().err
    assert not list(folder.glob("sr*"))


def test_how_long_it_takes_is_said_before_work(folder, tiny, capsys, monkeypatch):
    reference = np.zeros((100, 120, 3), np.uint8)
    for side, long in ((60, False), (90, True)):
        with Upscaler(tiny).prepare(np.zeros((side, side + 5, 3), np.uint8), reference) as prepared:
            seconds = prepared.estimated_seconds()
        assert (seconds is not None and seconds > 0) == long
    monkeypatch.setattr(PreparedPhoto, "estimated_seconds", lambda self: 4000.0)
    assert upscale(folder) == 0
    assert "this takes about 67 minutes (--region shows a part first)" in capsys.readouterr().err


def test_each_photo_of_a_folder_has_its_sheet(folder, capsys):
    images.write(folder / "ref.png", np.zeros((40, 40, 3), np.uint8))
    reference = ("-r", f"{folder}/ref.png")
    assert upscale(folder, "--comparison", f"{folder}/sheets", *reference, source="lr", output="sr") == 0
    assert upscale(folder, "--comparison", f"{folder}/one.png", *reference, source="lr/a.jpg") == 0
    sheets = sorted((folder / "sheets").iterdir())
    assert [path.name for path in sheets] == ["a.png", "b.png"]
    assert sheets[0].read_bytes() == (folder / "one.png").read_bytes()
    images.write(folder / "lr/c.png", np.zeros((9, 12, 3), np.uint8))
    reasons = {"lr": "taken for photos", "sr": "is the name of another result", "a.png": "need a local folder"}
    for sheet, reason in reasons.items():
        capsys.readouterr()
        assert upscale(folder, "--comparison", f"{folder}/{sheet}", source="lr", output="sr") == 2
        assert reason in capsys.readouterr().err


def test_a_sheet_replaces_no_picture_unless_asked(folder, capsys):
    (folder / "others").mkdir()
    images.write(folder / "others/a.png", np.zeros((30, 30, 3), np.uint8))
    before = (folder / "others/a.png").read_bytes()
    sheets = ("--comparison", f"{folder}/others")
    assert upscale(folder, *sheets, source="lr", output="sr") == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("1 upscaled, 1 failed")
    assert f"a.jpg: {folder}/others/a.png is there; give another folder for sheets, or --overwrite" in printed.err
    assert (folder / "others/a.png").read_bytes() == before
    assert upscale(folder, *sheets, "--overwrite", source="lr", output="sr") == 0
    assert (folder / "others/a.png").read_bytes() != before


@pytest.mark.parametrize("options", [("--overwrite",), ()])
def test_photos_of_an_album_are_inputs(folder, capsys, options):
    (folder / "lr/a.jpg").rename(folder / "lr/a.png")  # a name that results take
    before = {path: path.read_bytes() for path in (folder / "lr").iterdir()}
    album = ("--album", f"{folder}/lr")
    sheet = ("--comparison", f"{folder}/lr/a.png")
    (folder / "in").mkdir()
    (folder / "lr.jpg").rename(folder / "in/a.jpg")
    (folder / "jobs.csv").write_text(f"lr,references,output\n{folder}/in/a.jpg,,{folder}/lr/a.png\n")
    for source, output, others, words in (
        ("in/a.jpg", "lr/a.png", (), "is an input"),
        ("in/a.jpg", "sr.png", sheet, "is an input"),
        ("in", "lr", options, "results would be taken for photos of it"),
        ("in", "sr", (*options, "--comparison", f"{folder}/lr"), "sheets would be taken for photos there"),
        ("in", "sr", (*options, "--report", f"{folder}/lr/b.jpg"), "is an input"),
    ):
        assert upscale(folder, *album, *others, source=source, output=output) == 2
        assert words in capsys.readouterr().err
    assert main(["upscale", "--jobs", f"{folder}/jobs.csv", *album, *options]) == 2
    assert "row 1: output" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (folder / "lr").iterdir()} == before


def test_a_photo_takes_all_references_of_a_folder_unless_one_has_its_name(folder, monkeypatch):
    given = []
    plan = PlainUpscaler.plan
    monkeypatch.setattr(PlainUpscaler, "plan", lambda *arguments: given.append(len(arguments[2])) or plan(*arguments))
    (folder / "ref").mkdir()
    for name in "abc":
        images.write(folder / f"ref/{name}.png", np.zeros((40, 40, 3), np.uint8))
    (folder / "ref/d.jpg").symlink_to(folder / "lr.jpg")  # the photo itself
    for source, number in (("lr.jpg", 3), ("lr/a.jpg", 1)):
        assert upscale(folder, "-r", f"{folder}/ref", source=source) == 0
        assert given[-1] == number


def test_sizes_and_parts(folder, capsys):
    for options, said in (
        (("--scale", "2"), "24x18 pixels, made at 4x and reduced"),
        (("--size", "40x"), "40x30 pixels, made at 4x and reduced"),
        (("--long-side", "48"), "48x36 pixels"),
        (("--region", "2,3,5,4"), "20x16 pixels"),
        (("--long-side", "12"), "12x9 pixels, reduced from the photo, which has as many"),
    ):
        assert upscale(folder, *options, "--comparison", f"{folder}/sheet.png") == 0
        assert capsys.readouterr().out == f"{folder}/sr.png: {said}\n"
    assert upscale(folder, "--scale=3", "--suffix=_3x", source="lr", output="lr") == 0
    assert upscale(folder, "--scale=3", "--suffix=_3x", source="lr", output="lr") == 0
    assert capsys.readouterr().out.endswith("0 upscaled, 0 failed, 2 there already (--overwrite makes them again)\n")
    assert images.read(folder / "lr/a_3x.png").rgb.shape == (27, 36, 3)


@pytest.mark.parametrize(
    ("options", "output", "reason"),
    [
        (("--quality", "0"), "sr.jpg", "quality 0 is neither a number from 1 to 100 nor lossless"),
        (("--quality", "90"), "sr.png", ".png is always lossless; a quality is for .jpg and .webp"),
        (("--quality", "lossless"), "sr.jpg", ".jpg is never lossless; choose .png or .webp"),
        (("--bits", "16"), "sr.webp", ".webp is written with 8 bits; choose .png or .tif for 16"),
        (("--suffix", "_4x"), "sr.png", "a suffix names results in a folder, and"),
        (("--suffix", "_4x.gif"), "sr/", "cannot write .gif"),
        (("--scale", "5"), "sr.png", "scale 5 is not above 0 and at most 4"),
        (("--long-side", "49"), "sr.png", "a photo of 12x9 pixels becomes 48x36 at most, asked for are 49x37; ask for less"),
        (("--region", "9,0,5,5"), "sr.png", "region 9,0,5,5 reaches out of the LR photo of 12x9 pixels"),
        (("--region", "9,0,5"), "sr.png", "region 9,0,5 is none; give X,Y,WIDTH,HEIGHT in pixels of the LR photo"),
        (("--suffix", "a/b"), "sr/", "suffix a/b names a folder; give one as -o"),
    ],
)
def test_what_cannot_be_written_is_said_before_work(folder, monkeypatch, capsys, options, output, reason):
    monkeypatch.setattr(opening, "open_model", None)
    assert upscale(folder, *options, output=output) == 2
    message = capsys.readouterr().err
    assert reason in message
    assert message.count("\n") == 1
    assert not (folder / output).exists() or not any((folder / output).iterdir())
