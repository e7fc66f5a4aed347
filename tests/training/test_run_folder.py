"""Damaged files of a run folder are refused by name, and nothing is overwritten."""

import keras
import numpy as np
import pytest
from c2m_tf.training.config import make_config
from c2m_tf.training.fitting import Parts, Recorder
from c2m_tf.training.runs import Run, RunError
from killed_writer import write_and_be_killed

VALUES = {
    "iterations": 4,
    "batch_size": 1,
    "optimizer": {"learning_rate": 1e-4},
    "data": {"sources": [{"kind": "single", "folder": "p"}]},
}
CONFIG = make_config("teacher", VALUES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.yaml", b""),
        ("config.yaml", b"a: [1"),
        ("config.yaml", b"- a"),
        ("config.yaml", b"7"),
        ("config.yaml", b"a: 1\n2: 3\n"),
        ("config.yaml", b"\xff\xfe\x00"),
        ("config.yaml", b"a: !!python/object:os.system {}"),
        ("log.csv", b"x,y\n1,2\n"),
        ("log.csv", b"iteration,loss\n1,high\n"),
        ("log.csv", b"iteration,loss\n1,2,3\n"),
        ("log.csv", b"iteration,loss\nnone,2\n"),
        ("log.csv", b"iteration,loss\n\xff,2\n"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content):
    Run(tmp_path / "run", "teacher", CONFIG)
    (tmp_path / "run" / name).write_bytes(content)
    with pytest.raises(RunError) as refused:
        Run(tmp_path / "run", "teacher", CONFIG)
    assert name in str(refused.value) or "differs in" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "run" / name).read_bytes() == content


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_resumes_where_nothing_else_is_trained(tmp_path, begun):
    run = Run(tmp_path / "run", "teacher", make_config("teacher", VALUES))
    if begun:
        run.save_weights(small_trainer())
    free = {"root": "elsewhere", "log_every": 5, "save_every": 7, "data": {**VALUES["data"], "workers": 4}}
    for key, value in free.items():
        Run(tmp_path / "run", "teacher", make_config("teacher", {**VALUES, key: value}))
    assert "workers: 4" in (tmp_path / "run/config.yaml").read_text()
    other = make_config("teacher", {**VALUES, "seed": 3, "root": "elsewhere"})
    if begun:
        with pytest.raises(RunError, match=r"another config \(it differs in seed\)"):
            Run(tmp_path / "run", "teacher", other)
    else:  # it failed before it trained, and its recipe was corrected
        Run(tmp_path / "run", "teacher", other)
        assert "seed: 3" in (tmp_path / "run/config.yaml").read_text()


def test_what_killed_saves_left_is_removed(tmp_path):
    Run(tmp_path / "run", "teacher", CONFIG)
    for name in ("state.weights.h5", "last.keras"):
        write_and_be_killed(tmp_path / "run" / name)
    assert len(list((tmp_path / "run").glob(".*"))) == 2
    Run(tmp_path / "run", "teacher", CONFIG)
    assert not list((tmp_path / "run").glob(".*"))


def small_trainer():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "of another trainer"])
def test_a_damaged_state_is_named(tmp_path, damage):
    run = Run(tmp_path / "run", "teacher", CONFIG)
    trainer = small_trainer()
    run.save_weights(trainer)
    run.load_state(trainer)
    whole = run.state.read_bytes()
    if damage == "of another trainer":
        other = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2), keras.layers.Dense(5)])
        run.save_weights(other)
    else:
        run.state.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "changed": b"\0" * 64 + whole[64:]}[damage])
    with pytest.raises(RunError, match=r"state.weights.h5 cannot be loaded"):
        run.load_state(trainer)


class Losses(keras.Model):
    """Whose loss is what the batch says."""

    def __init__(self):
        super().__init__()
        self.weight = self.add_weight(shape=())
        self.built = True

    def call(self, inputs):
        return inputs + 0.0 * self.weight

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        del x, y, sample_weight, training
        return keras.ops.mean(y_pred)


def test_log_lines_are_means_since_the_previous_line(tmp_path):
    class Config:
        iterations, log_every, save_every, validation = 9, 3, 100, None

    losses = np.array([1e9, 2e9, 3e9, 1.0, 2.0, 3.0, 1e-6, 2e-6, 6e-6], np.float32)
    run, model = Run(tmp_path / "run", "teacher", CONFIG), Losses()
    model.compile(keras.optimizers.SGD(0.0))
    recorder = Recorder(run, Config, Parts(model, model, model), 0, lambda name: None)
    model.fit(losses[:, None], batch_size=1, shuffle=False, verbose=0, callbacks=[recorder])
    recorder.close()
    assert [row["iteration"] for row in run.rows] == [3, 6, 9]
    np.testing.assert_allclose([row["loss"] for row in run.rows], [2e9, 2.0, 3e-6], rtol=1e-6)
