"""The demonstration writes its pictures."""

from c2m_tf.cli import main
from c2m_tf.photos import images


def test_demo_writes_its_pictures_and_beats_bicubic_by_far(tmp_path, capsys):
    assert main(["demo", "-o", f"{tmp_path}/new"]) == 0
    names = {"lr.png", "ref.png", "bicubic.png", "sr.png", "comparison.png"}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names
    bicubic, ours = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[:2])
    assert ours > bicubic + 2
    assert images.read(tmp_path / "new" / "sr.png").rgb.shape == images.read(tmp_path / "new" / "ref.png").rgb.shape
