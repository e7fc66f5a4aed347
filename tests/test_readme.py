"""What README and the guide say runs, on the sample pair, as it stands there."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image
from plain_upscaler import PlainUpscaler

from c2m_tf.cli import main
from c2m_tf.upscaling import opening

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
USE = README.partition("\n## Use\n")[2].partition("\n## ")[0]
USAGE = (ROOT / "docs/usage.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in USE.splitlines() if line.startswith("    c2m-tf ")]
TRIED = [line.strip() for line in USAGE.splitlines() if line.startswith("    c2m-tf upscale -i lr.png")]


@pytest.fixture
def there(tmp_path, monkeypatch):
    """A working folder with the sample pair."""
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(COMMANDS[0], comments=True)[1:]) == 0
    monkeypatch.setattr(opening, "open_model", lambda source, **settings: PlainUpscaler())


def test_the_first_command_writes_the_pair_that_the_others_take(there, capsys):
    assert sorted(path.name for path in Path().iterdir()) == ["lr.png", "reference.jpg"]
    assert main(["sample", "."]) == 2
    assert "lr.png is there already; give another folder" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS[1:], *TRIED])
def test_commands_run_as_they_stand_there(there, command):
    arguments = shlex.split(command, comments=True)
    assert main(arguments[1:]) == 0
    with Image.open(arguments[arguments.index("-o") + 1]) as result:
        assert result.width > 0


def test_the_snippet_runs_as_it_stands_there(there):
    (snippet,) = re.findall(r"```python\n(.*?)```", USE, re.DOTALL)
    exec(snippet, {})
    with Image.open("sr.png") as result, Image.open("lr.png") as lr:
        assert result.size == (4 * lr.width, 4 * lr.height)


def test_numbers_of_parameters_are_those_of_the_networks(light, full):
    counts = [network.restoration.count_params() for network in (full, light)]
    assert all(f"{count:,}" in README for count in counts)
    whole = " and ".join(f"{network.count_params() / 1e6:.1f}" for network in (full, light))
    assert f"the whole models {whole} million" in README
