"""Standard streams that are closed, as some daemons and cron jobs leave them, that are full, or that cannot show a name."""

import functools
import itertools
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from c2m_tf.cli import main
from c2m_tf.photos import images
from c2m_tf.startup import choose_device

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


# A command that prints what it is given.
PRINT = """
import argparse, sys
from c2m_tf.commands.running import run
from c2m_tf.startup import say
parser = argparse.ArgumentParser()
parser.add_argument("text")
parser.set_defaults(run=lambda options: say(options.text) or 0)
sys.exit(run(parser, None))
"""


@pytest.mark.parametrize("length", [5, 100_000])  # less and more than Python keeps before it writes
@pytest.mark.parametrize(("reader", "reason"), [("/dev/full", "No space left on device"), ("gone", "Broken pipe")])
def test_what_standard_output_does_not_take_is_one_line_and_no_success(tmp_path, length, reader, reason):
    if reader == "gone":
        read, write = os.pipe()
        os.close(read)
    else:
        write = os.open(reader, os.O_WRONLY)
    (tmp_path / "print.py").write_text(PRINT)
    command = [sys.executable, f"{tmp_path}/print.py", "x" * length]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(write)
    assert done.returncode == 2
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", [b"\xff.png", "写真.png".encode(), b"a\nb.png"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_names_that_the_terminal_cannot_show_are_printed_all_the_same(tmp_path, name, encoding):
    (tmp_path / "print.py").write_text(PRINT)
    command = [sys.executable.encode(), os.fsencode(tmp_path / "print.py"), name]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b".png\n")


# A command that warns, then makes a file.
WARN = """
import argparse, pathlib, sys
from c2m_tf.commands.running import run
from c2m_tf.startup import warn
parser = argparse.ArgumentParser()
parser.add_argument("text")
def work(options):
    for _ in range(3):
        warn(options.text)
        print(options.text, file=sys.stderr, flush=True)
    return 0
parser.set_defaults(run=work)
sys.exit(run(parser, None))
"""


@pytest.mark.parametrize("reader", ["/dev/full", "gone"])
def test_what_standard_error_does_not_take_is_left_out(tmp_path, reader):
    if reader == "gone":
        read, write = os.pipe()
        os.close(read)
    else:
        write = os.open(reader, os.O_WRONLY)
    (tmp_path / "warn.py").write_text(WARN)
    done = subprocess.run([sys.executable, f"{tmp_path}/warn.py", "x" * 100_000], stderr=write, timeout=300)
    os.close(write)
    assert done.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_blocks_end_when_a_signal_comes_twice(tmp_path, number):
    (tmp_path / "wait.py").write_text(
        "import argparse, os, pathlib, signal, sys, time\n"
        "from c2m_tf.commands.running import run\n"
        "def work(options):\n"
        "    try:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "        time.sleep(60)\n"
        "    finally:\n"
        f"        os.kill(os.getpid(), {int(number)})\n"
        "        time.sleep(0.1)\n"
        "        pathlib.Path('ended').touch()\n"
        "parser = argparse.ArgumentParser()\n"
        "parser.set_defaults(run=work)\n"
        "sys.exit(run(parser, []))\n"
    )
    heed = functools.partial(signal.signal, number, signal.SIG_DFL)  # where the tests run below nohup
    done = subprocess.run([sys.executable, "wait.py"], cwd=tmp_path, timeout=300, preexec_fn=heed)
    assert done.returncode == 128 + number
    assert (tmp_path / "ended").exists()


def test_names_do_not_steer_the_terminal(tmp_path, capsys):
    name = "\x1b[2J\x1b]0;title\x07\x9b31m\u202e\u0085写\u200d.png"
    (tmp_path / name).write_bytes(b"no photo")
    (tmp_path / "in").mkdir()
    for source in (tmp_path / name, tmp_path / f"no {name}"):
        assert main(["upscale", "-i", f"{source}", "-o", f"{tmp_path}/sr.png"]) == 2
        printed = capsys.readouterr().err
        assert all(character.isprintable() or character in "\n\u200d" for character in printed)
        assert "\\x1b[2J\\x1b]0;title\\x07\\x9b31m\\u202e" in printed
        assert "写\u200d.png" in printed


def test_every_error_is_one_line_whatever_the_name_of_the_file(tmp_path, capsys):
    for name in ("a\nb.png", "a\rb.png", "\u2028.png"):
        assert main(["upscale", "-i", f"{tmp_path}/{name}", "-o", f"{tmp_path}/sr.png"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_commands_work_without_standard_error(tmp_path, tiny):
    tiny.save(tmp_path / "light.keras")
    images.write(tmp_path / "lr.png", np.zeros((6, 8, 3), np.uint8))
    images.write(tmp_path / "ref.png", np.zeros((20, 28, 3), np.uint8))
    command = [sys.executable, "-m", "c2m_tf", "upscale", "-r", "ref.png", "-o", "sr.png", "--model", "light.keras", "-i"]
    assert run_with_closed((0, 2), [*command, "none.png"], tmp_path).returncode == 2
    assert run_with_closed((0, 2), [*command, "lr.png"], tmp_path).returncode == 0
    assert images.read(tmp_path / "sr.png").rgb.shape == (24, 32, 3)


@pytest.mark.parametrize(
    "snippet",
    [
        "from c2m_tf import Upscaler; Upscaler.from_preset('light')(np.zeros((8, 8, 3), np.uint8))",
        "from c2m_tf import C2Matching; C2Matching.light(content_blocks=2, width=8)",
    ],
)
def test_python_starts_as_quietly_as_the_command_line(snippet):
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", f"import numpy as np; {snippet}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_devices_are_chosen_before_keras_starts(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, "0")
    with pytest.raises(ValueError, match="device tpu is none; choose cpu, gpu, or gpu:1 for the second one"):
        choose_device("tpu")
    with pytest.raises(ValueError, match="Keras has started; choose device gpu:1 before it is imported"):
        choose_device("gpu:1")
    monkeypatch.delitem(sys.modules, "keras")
    for device, visible in (("gpu:1", "1"), ("cpu", "-1")):
        choose_device(device)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
