"""Baselines of the benchmarks give the same results."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from golden_models import golden

from c2m_tf.photos import images

# Last, so that the package `training` is not taken for the benchmark of that name.
sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))


@pytest.mark.parametrize("variant", ["full", "light"])
def test_pytorch_baseline_gives_the_golden_output(variant):
    torch = pytest.importorskip("torch")
    from pytorch_baseline import golden_network

    arrays = golden(variant)
    inputs = [torch.from_numpy(arrays[name]).permute(2, 0, 1)[None] for name in ("lr", "lr_up", "ref")]
    with torch.inference_mode():
        sr = golden_network(variant)(*inputs).permute(0, 2, 3, 1)
    np.testing.assert_allclose(sr.numpy(), arrays["output"], atol=3e-5)


def test_networks_to_compare_with_have_the_published_sizes():
    torch = pytest.importorskip("torch")
    from peer_networks import EDSRBaseline, RRDBNet

    for network, parameters in ((RRDBNet(), 16_697_987), (EDSRBaseline(), 1_517_571)):
        assert sum(parameter.numel() for parameter in network.parameters()) == parameters
        with torch.inference_mode():
            assert network(torch.zeros(1, 3, 8, 9)).shape == (1, 3, 32, 36)


@pytest.mark.parametrize("row", ["light float32", "light without residual offsets float32"])
def test_all_parts_of_an_upscaling_are_timed(monkeypatch, row):
    import upscale

    served = []
    monkeypatch.setattr(upscale, "LR_SIZE", (12, 16))
    monkeypatch.setattr(upscale, "serve", lambda once: served.append(once()))
    upscale.work(row)
    assert set(served[0]) == set(upscale.PARTS)
    assert all(seconds > 0 for seconds in served[0].values())


def test_published_formulation_of_matching_finds_the_same(monkeypatch, rng):
    import matching

    monkeypatch.setattr(matching, "HEIGHT", 12)
    monkeypatch.setattr(matching, "WIDTH", 15)
    monkeypatch.setattr(matching, "CHANNELS", 8)
    first, second = rng.standard_normal((2, 1, 12, 15, 8)).astype(np.float32)
    np.testing.assert_array_equal(matching.by_patches(first, second), matching.by_shifted_sums(first, second))


def test_the_table_of_presets_has_a_line_per_system(tmp_path, rng, capsys, monkeypatch):
    import presets_table

    for group in ("000", "002"):
        for position in (0, 1):
            images.write(tmp_path / f"{group}_{position}.png", rng.random((52, 60, 3)))
    monkeypatch.setattr(sys, "argv", ["presets_table.py", "--pairs", f"{tmp_path}", "--model", "light", "--flip"])
    presets_table.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| | PSNR-Y | SSIM-Y | FLIP | gain over bicubic |"
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["bicubic", "light"]
    assert not lines[4]
    assert "Mean over 2 groups" in lines[5]


def test_the_table_of_estimates_has_a_line_per_degradation(tmp_path, rng):
    import photo_quality

    images.write(tmp_path / "a.png", images.upsample(rng.integers(0, 256, (40, 40, 3), np.uint8)))
    lines = photo_quality.table([tmp_path / "a.png"], ("bicubic", "jpeg50"))
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["`bicubic`", "`jpeg50`"]
    assert lines[3].split("|")[2:5] == [" 100.0% ", " 100.0% ", " 50 to 50 "]
    assert len({line.count("|") for line in lines}) == 1


def test_the_fit_of_spectra_finds_the_direction_that_tells_two_kinds(rng):
    import spectrum

    sharp, other = rng.normal(0, 0.3, (200, 16)), rng.normal(0, 0.3, (100, 16))
    other[:, 3] += 2
    weights, bias = spectrum.fit(sharp, other)
    assert np.abs(weights).argmax() == 3
    lines = spectrum.table({"bicubic": sharp, "blur": other}, weights, bias)
    assert [line.split("|")[3] for line in lines[2:]] == [" 0.0% ", " 100.0% "]


@pytest.mark.parametrize(
    "arguments",
    [
        ("front_page", "--pairs", "{missing}", "-o", "{folder}/out.jpg"),
        ("photo_quality", "{missing}"),
        ("presets_table", "--pairs", "{missing}"),
        ("spectrum", "{missing}"),
        ("tflite", "{missing}/a.tflite"),
        ("training", "--photos", "{missing}"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_wrong_input_is_one_line(arguments, tmp_path, capsys, monkeypatch):
    name, *options = [word.format(missing=tmp_path / "missing", folder=tmp_path) for word in arguments]
    if name == "tflite":
        pytest.importorskip("ai_edge_litert")
    file = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
    specification = importlib.util.spec_from_file_location(f"benchmark_{name}", file)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *options])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2
    written = capsys.readouterr()
    assert "missing" in written.err.splitlines()[-1]
    assert written.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
