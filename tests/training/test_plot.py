"""Curves of logs that were emptied, cut or edited."""

import pytest
from c2m_tf.training.runs import RunError, plot

from c2m_tf.photos import images


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"iteration,loss\n",
        b"x,y\n1,2\n",
        b"iteration\n1\n",
        b"iteration,loss\n1,high\n",
        b"iteration,loss\n1,2,3\n",
        b"iteration,loss\n\xff,2\n",
    ],
)
def test_damaged_logs_are_named_and_nothing_is_drawn(tmp_path, content):
    (tmp_path / "log.csv").write_bytes(content)
    with pytest.raises(RunError, match=r"log\.csv"):
        plot(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.parametrize("rows", [b"1,2,\n2,3,\n", b"1,nan,\n2,inf,1\n", b"1,2\n2\n"])
def test_logs_with_gaps_are_drawn(tmp_path, rows):
    (tmp_path / "log.csv").write_bytes(b"iteration,loss,psnr_y\n" + rows)
    assert images.read(plot(tmp_path)).rgb.std() > 0.01
