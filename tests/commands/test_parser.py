"""Arguments: nothing that is given twice is dropped unheard, in any command."""

import argparse

import pytest

from c2m_tf import cli
from c2m_tf.cli import main
from c2m_tf.commands.running import Parser


def commands(parser, words=()):
    """(words, parser) of a parser and all its commands."""
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield from commands(command, (*words, name))


ALL = list(commands(cli._parser()))
OPTIONS = [
    pytest.param(words, action, id=" ".join((*words, action.option_strings[-1])))
    for words, parser in ALL
    for action in parser._actions
    if action.option_strings and action.nargs != 0
]


def test_all_commands_read_their_arguments_alike():
    assert len(ALL) > 15
    assert all(isinstance(parser, Parser) for _, parser in ALL)


@pytest.mark.parametrize(("words", "action"), OPTIONS)
def test_an_option_given_twice_adds_or_is_refused(words, action, capsys):
    parser = next(parser for found, parser in commands(cli._parser()) if found == words)
    action = next(each for each in parser._actions if each.option_strings == action.option_strings)
    value = str(next(iter(action.choices))) if action.choices else "1"
    for each in parser._actions:
        each.required = False
    parser._mutually_exclusive_groups.clear()
    arguments = [each for each in parser._actions if not isinstance(each, argparse._SubParsersAction)]
    positional = ["x" for each in arguments if not each.option_strings]
    given = [*positional, action.option_strings[0], value, action.option_strings[-1], value]
    if isinstance(action, (argparse._ExtendAction, argparse._AppendAction)):
        found = getattr(parser.parse_args(given), action.dest)
        assert found == 2 * [type(found[0])(value)]
    else:
        assert action.nargs is None
        with pytest.raises(SystemExit) as stopped:
            parser.parse_args(given)
        assert stopped.value.code == 2
        assert "is given twice; give it once" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-i", "-r", "-o", "--report", "--album"])
def test_an_empty_path_is_not_the_working_folder(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli._parser().parse_args(["upscale", option, ""])
    assert stopped.value.code == 2
    assert f"{option}" in (said := capsys.readouterr().err.splitlines()[-1])
    assert said.endswith("is empty; give a name, or leave it out")
    assert cli._parser().parse_args(["upscale", "-i", "a.png", "--suffix", ""]).suffix == ""


def test_the_home_folder_and_urls_of_local_files_are_paths(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", f"{tmp_path}")
    given = ["upscale", "--input=~/a.png", "-r", "~/b.png", f"file://{tmp_path}/c%20d.png", "-o", "s3://bucket/e.png"]
    options = cli._parser().parse_args(given)
    assert options.input == f"{tmp_path}/a.png"
    assert options.reference == [f"{tmp_path}/b.png", f"{tmp_path}/c d.png"]
    assert options.output == "s3://bucket/e.png"


@pytest.mark.parametrize("option", ["--set=iterations=5", "--output=run", "--data=photos", "--start=mobile"])
def test_an_option_before_a_command_is_refused_and_not_forgotten(option, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["train", option, "teacher", "--config", "smoke/teacher"])
    assert stopped.value.code == 2
    assert f"{option.partition('=')[0]} stands before teacher; give it after that" in capsys.readouterr().err


def test_what_cannot_be_parsed_does_not_steer_the_terminal(capsys):
    with pytest.raises(SystemExit):
        main(["upscale", "-i", "a.png", "-o", "b.png", "\x1b[2J"])
    assert "\\x1b[2J" in capsys.readouterr().err
