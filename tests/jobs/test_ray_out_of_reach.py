"""Ray clusters that cannot be reached; apart from tests that start one, which "auto" would find."""

import subprocess
import sys

import numpy as np
import pytest

from c2m_tf.photos import images

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_out_of_reach_is_one_line(tmp_path, address):
    """In a process of its own, which is connected to nothing."""
    images.write(tmp_path / "a.png", np.zeros((3, 3, 3)))
    command = ["upscale", "-i", f"{tmp_path}", "-o", f"{tmp_path}/sr", "--engine", "ray", "--address", address]
    done = subprocess.run(
        [sys.executable, "-m", "c2m_tf.cli", *command], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 2, done.stderr
    assert f"no Ray cluster can be reached at {address}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "sr").iterdir())
