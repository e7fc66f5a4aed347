"""Averages of networks, in Python and on the command line."""

import numpy as np
import pytest
from c2m_tf.training.starts import average
from tiny_models import tiny_model
from training_runs import training

from c2m_tf.presets import load_model


def test_every_weight_lies_between_those_of_the_two_networks(tiny):
    other = tiny_model(1)
    averaged = average(tiny, other, 0.25)
    for mean, first, second in zip(averaged.get_weights(), tiny.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mean, 0.75 * first + 0.25 * second, rtol=1e-6, atol=1e-7)


def test_the_command_writes_a_network(tiny, tmp_path):
    tiny.save(tmp_path / "one.keras")
    tiny_model(1).save(tmp_path / "other.keras")
    paths = [f"{tmp_path}/{name}.keras" for name in ("one", "other", "average")]
    assert training(["average", *paths[:2], "--share", "0", "-o", paths[2]]) == 0
    averaged = load_model(paths[2])
    assert all(np.array_equal(*pair) for pair in zip(averaged.get_weights(), tiny.get_weights(), strict=True))


@pytest.fixture(scope="module")
def networks(tiny, tmp_path_factory):
    """A folder with a network, and one that has a trunk of its own besides."""
    folder = tmp_path_factory.mktemp("networks")
    tiny.save(folder / "one.keras")
    tiny_model(own_trunk=True).save(folder / "own.keras")
    return folder


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{}/one.keras", "{}/own.keras", "-o", "average.keras"], "own_trunk False and one of True have no average"),
        (["light", "nowhere.keras", "-o", "average.keras"], "nowhere.keras does not exist"),
        (["light", "light", "-o", "average.npz"], "name it so"),
    ],
)
def test_what_has_no_average_is_refused(networks, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert training(["average", *(argument.format(networks) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_share_outside_its_range_is_refused_before_anything_is_read(capsys):
    with pytest.raises(SystemExit, match="2"):
        training(["average", "light", "nowhere.keras", "--share", "1.5", "-o", "average.keras"])
    assert "1.5 lies outside [0, 1]; 0 is the first network, 1 the second" in capsys.readouterr().err
