"""Quantization: calibrated ranges, int8 kernels, resumable runs, files."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.export.quantization import (
    QuantizationConfig,
    calibrate,
    load_quantized,
    quantize,
    quantized_preset,
    save_quantized,
)
from c2m_tf.export.tflite import export_tflite
from c2m_tf.training import sources
from c2m_tf.training.runs import Run
from c2m_tf.training.trainers import RestorationTrainer
from exporting import export
from skimage import data
from tensorflow.lite.python import schema_py_generated as schema
from tiny_models import tiny_model
from training_data import make

from c2m_tf.network.features import STEM_CHANNELS
from c2m_tf.network.restoration import WIDTH
from c2m_tf.photos import images
from c2m_tf.presets import PRESETS

TILE, WINDOW = 20, 80


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def shallow():
    """As wide as preset `light`, of fewer blocks."""
    blocks = {"content_blocks": 4, "small_blocks": 4, "medium_blocks": 2, "large_blocks": 1, "trunk_blocks": 2}
    return tiny_model(**blocks, width=WIDTH, stem_channels=STEM_CHANNELS, own_trunk=True)


@pytest.fixture(scope="module")
def quantized(shallow, root, tmp_path_factory):
    """`shallow`, calibrated on four patches; saved and loaded once."""
    network = PhoneNetwork(shallow, quantized=True)
    calibrate(network, [sources.source_of(root / "data/cufed")], 4)
    path = tmp_path_factory.mktemp("weights") / "quantized.npz"
    save_quantized(network, path)
    return network, load_quantized(path)


@pytest.fixture(scope="module")
def exported(quantized, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "c2m_light_int8.tflite"
    export_tflite(quantized[1], path, "int8", TILE, WINDOW)
    return path


def pair(rng):
    photo = rng.random((WINDOW, WINDOW, 3), np.float32)
    return photo[::4, ::4], photo


def test_every_range_and_limit_is_found(quantized):
    for layer in quantized[0].ranges():
        assert layer.low.numpy() <= 0.0 < layer.high.numpy(), layer.path
    limits = [variable for variable in quantized[0].variables if variable.path.endswith("limit")]
    assert len(limits) > 20
    assert all((limit.numpy() > 0).all() for limit in limits)


def test_only_the_restoration_network_and_the_encoder_train(shallow):
    trained = [*shallow.reference_encoder.trainable_variables, *shallow.restoration.trainable_variables]
    trainer = RestorationTrainer(PhoneNetwork(shallow, quantized=True), learns_encoder=True, alone_weight=0.0)
    assert len(trainer.trainable_variables) == len(trained)


def test_weights_that_went_through_a_file_once_stay_the_same(quantized, tmp_path):
    for number, network in enumerate(quantized):
        save_quantized(network, tmp_path / f"{number}.npz")
    first, second = (np.load(tmp_path / f"{number}.npz") for number in (0, 1))
    for name in first.files:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert first["restoration/head_small_0/kernel"].dtype == np.int8


def test_rounding_changes_a_photo_little(quantized, shallow):
    # Ranges are found on photos; noise goes beyond them.
    ref = images.as_float(data.astronaut()[60 : 60 + WINDOW, 200 : 200 + WINDOW])
    lr = ref[::4, ::4]
    sr = quantized[0]({"lr": lr[None], "ref": ref[None]}).numpy()
    assert np.abs(sr[0].clip(0, 1) - np.clip(shallow({"lr": lr[None], "ref": ref[None]})[0], 0, 1)).mean() < 0.01


def convolutions(path):
    """(multiply-adds, whether in int8) of each convolution of both signatures.

    Sums that are written as convolutions with ones, in matching, are none.
    """
    model = schema.Model.GetRootAsModel(path.read_bytes(), 0)
    for index in range(model.SubgraphsLength()):
        graph = model.Subgraphs(index)
        for number in range(graph.OperatorsLength()):
            operator = graph.Operators(number)
            if model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() != schema.BuiltinOperator.CONV_2D:
                continue
            kernel = graph.Tensors(operator.Inputs(1))
            values = model.Buffers(kernel.Buffer()).DataAsNumpy()
            in_int8 = kernel.Type() == schema.TensorType.INT8
            # Larger kernels of float are held in half precision, and have no values of their own.
            if isinstance(values, np.ndarray) and len(np.unique(values.view(np.int8 if in_int8 else np.float32))) <= 2:
                continue
            output = graph.Tensors(operator.Outputs(0))
            multiply_adds = int(np.prod(output.ShapeAsNumpy()[:3])) * int(np.prod(kernel.ShapeAsNumpy()))
            yield multiply_adds, in_int8 and output.Type() == schema.TensorType.INT8


def test_at_least_95_percent_of_multiply_adds_run_in_int8(exported):
    found = list(convolutions(exported))
    assert len(found) > 40
    assert sum(count for count, in_int8 in found if in_int8) >= 0.95 * sum(count for count, _ in found)


def test_the_int8_file_upscales_as_the_rounded_network_does(exported, quantized, rng):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    lr, ref = pair(rng)
    runner = interpreter.Interpreter(str(exported)).get_signature_runner("upscale")
    sr = runner(lr_tile=lr[None], ref_window=ref[None])["sr"]
    expected = quantized[1]({"lr": lr[None], "ref": ref[None]}).numpy().clip(0, 1)
    assert np.abs(sr - expected).mean() < 0.01


PEAK = """
import re, sys
import numpy as np
from c2m_tf import Upscaler
upscaler = Upscaler.from_preset(sys.argv[1])
lr, ref = np.zeros((24, 24, 3), np.float32), np.zeros((96, 96, 3), np.float32)
upscaler(lr, ref).image.rgb
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(peak / upscaler.estimated_memory(lr.shape, [ref.shape]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_the_estimate_of_memory_is_a_little_above_what_is_used(exported):
    done = subprocess.run([sys.executable, "-c", PEAK, exported], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert 0.6 < float(done.stdout) < 1


def test_the_run_folder_holds_the_settings(tmp_path):
    Run(tmp_path / "run", "quantization", QuantizationConfig("light", ("photos",)))
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["model"] == "light"


@pytest.mark.slow
def test_an_interrupted_run_ends_in_the_same_weights(root, tmp_path, monkeypatch):
    config = QuantizationConfig("light", (str(root / "data/cufed"),), 2, 1, 1, 12, 48, save_every=1, log_every=1)
    quantize(config, tmp_path / "whole")

    from c2m_tf.training.datasets import ReferencePairs

    draw = ReferencePairs.__getitem__

    def broken(self, index):
        if len(self) == 2 and index == 1:
            raise KeyboardInterrupt
        return draw(self, index)

    monkeypatch.setattr(ReferencePairs, "__getitem__", broken)
    with pytest.raises(KeyboardInterrupt):
        quantize(config, tmp_path / "parts")
    monkeypatch.undo()
    quantize(config, tmp_path / "parts")
    whole, parts = (np.load(tmp_path / name / "quantized.npz") for name in ("whole", "parts"))
    start = np.load(quantized_preset("light"))
    texts = [name for name in whole.files if whole[name].dtype.kind == "U"]
    assert all((whole[name] == parts[name]).all() for name in texts)
    for name in set(whole.files) - set(texts):  # sums over several threads may differ in their last bit
        np.testing.assert_allclose(whole[name], parts[name], rtol=1e-6, atol=1e-9, err_msg=name)
    assert any((whole[name] != start[name]).any() for name in whole.files if name.endswith("kernel"))
    with pytest.raises(ValueError, match="another config"):
        quantize(dataclasses.replace(config, iterations=3), tmp_path / "parts")


@pytest.mark.parametrize("name", ["light", "light-photo"])
def test_int8_weights_that_ship_load(name):
    assert load_quantized(quantized_preset(name)).count_params() >= PRESETS[name].parameters


@pytest.mark.slow
def test_post_training_quantization_through_the_command_line(root, tmp_path, capsys):
    output = tmp_path / "c2m.tflite"
    arguments = ["--data", f"{root}/data/cufed", "--post-training", "--tile", "20", "--window", "80", "-o", f"{output}"]
    assert export(["quantize", *arguments, "--pairs", f"{root}/data/pairs"]) == 0
    sidecar = json.loads(output.with_suffix(".json").read_text())
    assert sidecar["precision"] == "int8"
    assert sidecar["psnr_y"] > 10
    assert "wrote" in capsys.readouterr().out
    # The run's folder holds weights that can be exported again, with other sizes.
    again = ["tflite", "--model", f"{tmp_path}/c2m/quantized.npz", "--precision", "int8", "--tile", "24", "--window", "96"]
    assert export([*again, "-o", f"{tmp_path}/again.tflite"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--data", "{}/empty"], "empty"),
        (["--data", "{}/nowhere"], "nowhere"),
        (["--data", "{}/photos", "--tile", "50"], "tile 50 is not a positive multiple of 4"),
        (["--data", "{}/photos", "--window", "100"], "window 100 is smaller than what a tile of 64"),
        (["--data", "{}/photos", "--iterations", "0"], "for no training give --post-training"),
        (["--data", "{}/photos", "--model", "huge"], "unknown preset 'huge'"),
        (["--data", "{}/photos", "-o", "{}/nowhere/c2m.tflite"], "does not exist"),
    ],
)
def test_invalid_arguments_are_reported_in_one_line_and_write_nothing(root, tmp_path, capsys, arguments, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "photos").symlink_to(root / "data/cufed")
    before = sorted(path.name for path in tmp_path.iterdir())
    arguments = [argument.format(tmp_path) for argument in arguments]
    if "-o" not in arguments:
        arguments += ["-o", f"{tmp_path}/c2m.tflite"]
    assert export(["quantize", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_file_without_a_quantized_network_is_reported(tmp_path):
    with pytest.raises(ValueError, match="holds no quantized network"):
        load_quantized(tmp_path / "nowhere.npz")
    np.savez(tmp_path / "other.npz", variant="light")
    with pytest.raises(ValueError, match="holds no quantized network"):
        load_quantized(tmp_path / "other.npz")
