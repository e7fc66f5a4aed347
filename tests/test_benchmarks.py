"""What the benchmarks compare with computes the same."""

import sys
from pathlib import Path

import numpy as np
import pytest
from golden_models import golden

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


def test_published_formulation_of_matching_finds_the_same(monkeypatch, rng):
    import matching

    monkeypatch.setattr(matching, "HEIGHT", 12)
    monkeypatch.setattr(matching, "WIDTH", 15)
    monkeypatch.setattr(matching, "CHANNELS", 8)
    first, second = rng.standard_normal((2, 1, 12, 15, 8)).astype(np.float32)
    np.testing.assert_array_equal(matching.by_patches(first, second), matching.by_shifted_sums(first, second))
