"""Standard streams that are closed, as some daemons and cron jobs leave them."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from c2m_tf.photos import images

CLOSED = [closed for length in range(1, 4) for closed in itertools.combinations((0, 1, 2), length)]
# Opens a file where a closed stream was, then writes to every stream: nothing of that may land in the file.
SCRIPT = """
import os, sys
from c2m_tf.startup import open_standard_streams
open_standard_streams()
with open("opened", "w") as file:
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    os.write(2, b"from a library")
    assert file.fileno() > 2
assert sys.stdin.read() == ""
"""


def run_with_closed(closed, command, folder):
    words = " ".join(f"{number}{'<' if number == 0 else '>'}&-" for number in closed)
    shell = ["sh", "-c", f'exec "$@" {words}', "sh", *command]
    return subprocess.run(shell, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("closed", CLOSED, ids=str)
def test_what_is_written_to_a_closed_stream_lands_nowhere_else(tmp_path, closed):
    done = run_with_closed(closed, [sys.executable, "-c", SCRIPT], tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text() == ""
    assert done.stdout == ("" if 1 in closed else "to stdout\n")
    assert done.stderr == ("" if 2 in closed else "to stderr\nfrom a library")


def test_commands_work_without_standard_error(tmp_path, light):
    light.save(tmp_path / "light.keras")
    images.write(tmp_path / "lr.png", np.zeros((6, 8, 3), np.uint8))
    images.write(tmp_path / "ref.png", np.zeros((20, 28, 3), np.uint8))
    command = [sys.executable, "-m", "c2m_tf", "upscale", "-r", "ref.png", "-o", "sr.png", "--model", "light.keras", "-i"]
    assert run_with_closed((0, 2), [*command, "none.png"], tmp_path).returncode == 2
    assert run_with_closed((0, 2), [*command, "lr.png"], tmp_path).returncode == 0
    assert images.read(tmp_path / "sr.png").rgb.shape == (24, 32, 3)
