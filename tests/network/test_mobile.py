"""The mobile network: what it computes before and after training, tiles, several references, files."""

import keras
import numpy as np
import pytest
from golden_models import golden, state
from tiny_models import MOBILE_SIZES, tiny_mobile

from c2m_tf.network import subcell
from c2m_tf.network.block_aggregation import joined, sizes_of
from c2m_tf.network.mobile import Matches, Mobile


@pytest.fixture(scope="module")
def network():
    return tiny_mobile()


def photos(rng, *sizes):
    return [rng.random((1, *size, 3), np.float32) for size in sizes]


def test_parameters():
    network = Mobile()
    counts = {name: part.count_params() for name, part in network.parts.items()}
    assert counts == {"branch": 495_888, "descriptors": 84_480, "fusion": 626_512}


def test_begins_as_the_single_image_branch(rng):
    lr, ref = photos(rng, (7, 9), (24, 40))
    network = Mobile(**MOBILE_SIZES)
    alone = network({"lr": lr})
    assert alone.shape == (1, 28, 36, 3)
    np.testing.assert_allclose(network({"lr": lr, "ref": ref}), alone, atol=1e-6)


def test_strength_scales_what_is_added(network, rng):
    lr, ref = photos(rng, (7, 9), (26, 41))
    alone, whole = (np.asarray(network(inputs)) for inputs in ({"lr": lr}, {"lr": lr, "ref": ref}))
    assert np.abs(whole - alone).max() > 0.01
    for strength in (0.0, 0.5, 1.0):
        mixed = network({"lr": lr, "ref": ref, "strength": np.float32([strength])})
        np.testing.assert_allclose(mixed, alone + strength * (whole - alone), atol=1e-5)


def test_each_pixel_takes_the_reference_that_shows_it(network, rng):
    lr, *others = photos(rng, (6, 8), (24, 28), (16, 40))
    true = np.repeat(np.repeat(np.pad(lr, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge"), 4, axis=1), 4, axis=2)
    matches = network.find_matches(lr, network.encode_reference([*others, true]))
    assert (np.asarray(matches.number) // len(network.scales) == 2).all()


def test_a_batch_gives_what_its_photos_give(network, rng):
    lr, ref = rng.random((2, 6, 7, 3), np.float32), rng.random((2, 21, 30, 3), np.float32)
    together = np.asarray(network({"lr": lr, "ref": ref}))
    for number in range(2):
        part = slice(number, number + 1)
        np.testing.assert_allclose(together[part], network({"lr": lr[part], "ref": ref[part]}), atol=1e-5)


def test_fusion_of_a_tile_is_that_of_the_whole_inside(network, rng):
    lr, ref = photos(rng, (20, 22), (48, 56))
    references = network.encode_reference(ref)
    matches = network.find_matches(lr, references)
    pixels = tuple(joined([reference[name] for reference in references]) for name in ("photo", "phases"))
    sizes = sizes_of([reference["photo"] for reference in references])
    whole = np.asarray(network.restore(lr, matches, pixels, sizes)) - np.asarray(network({"lr": lr}))
    tile, part = lr[:, 4:18, 3:20], Matches(*(values[:, 4:18, 3:20] for values in matches))
    sr = np.asarray(network.restore(tile, part, pixels, sizes, np.array([4, 3], np.int32))) - np.asarray(network({"lr": tile}))
    # The branch gates by what it sees far around, so that what is added differs a little with it.
    np.testing.assert_allclose(sr[:, 20:-20, 20:-20], whole[:, 36:52, 32:60], atol=0.05)


def test_the_smallest_photos(network, rng):
    lr, ref = photos(rng, (3, 3), (12, 12))
    assert network({"lr": lr, "ref": ref}).shape == (1, 12, 12, 3)


def test_saved_and_loaded(network, rng, tmp_path):
    lr, ref = photos(rng, (5, 6), (16, 20))
    network.save(tmp_path / "mobile.keras")
    loaded = keras.saving.load_model(tmp_path / "mobile.keras")
    assert loaded.get_config() == network.get_config()
    np.testing.assert_array_equal(loaded({"lr": lr, "ref": ref}), network({"lr": lr, "ref": ref}))


def test_bfloat16_gives_about_the_same(network, rng):
    lr, ref = photos(rng, (8, 9), (32, 40))
    half = network.like(dtype="mixed_bfloat16")
    half.set_weights(network.get_weights())
    np.testing.assert_allclose(half({"lr": lr}), network({"lr": lr}), atol=0.1)
    assert half({"lr": lr, "ref": ref}).dtype == "float32"


WRONG = [
    ("fusion_width", 0),
    ("branch_width", 3),
    ("descriptor_layers", -1),
    ("reference_scales", ()),
    ("reference_scales", (0,)),
    ("refined_scales", (0,)),
    ("trusted", (0.8, 0.5)),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_wrong_sizes_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        Mobile(**{name: value})


def test_equals_the_prototype_stage_by_stage():
    """Golden numbers of a prototype in PyTorch: kernels are OIHW, and a tap has channels before pixels."""
    arrays = golden("mobile")
    network = Mobile(reference_scales=(1.0,), refined_scales=())
    described, fused = state("mobile_descriptors"), state("mobile_fusion")
    for number in range(5):
        set_kernel(network.descriptors.get_layer(f"conv_{number}"), described, f"net.{2 * number}")
    names = {f"body_{block}_{number}": f"body.{block}.{number}" for block in range(6) for number in range(2)}
    for name, theirs in (names | {"mix": "mix", "out": "out"}).items():
        set_kernel(network.fusion.get_layer(name), fused, theirs)
    order = np.concatenate([52 * tap + np.r_[np.arange(48).reshape(3, 16).T.ravel(), 48:52] for tap in range(9)])
    set_kernel(network.fusion.get_layer("enter"), fused, "enter", order)

    lr, ref = arrays["lr"][None], arrays["ref"][None]
    np.testing.assert_allclose(network.descriptors(lr)[0], arrays["descriptors"], atol=1e-4)
    (reference,) = network.encode_reference(ref)
    inner = (slice(3, -3), slice(3, -3))  # what the low-pass of the photo's edges does not reach
    usable = np.all((arrays["cells"] > 3) & (arrays["cells"] < np.array([12, 14])), axis=-1)[inner]
    positions, correlation = subcell.refine(lr, reference["phases"], reference["norms"], arrays["cells"][None])
    # The prototype stops at whole pixels.
    positions = np.asarray(positions)[0][inner][usable]
    assert np.abs(positions - arrays["positions"][inner][usable]).max() <= 0.5
    assert np.mean(positions != np.round(positions)) > 0.5
    higher = np.asarray(correlation)[0][inner][usable] - arrays["correlation"][inner][usable]
    assert higher.min() > -1e-3 and higher.max() < 0.05
    inputs = {
        "taps": arrays["taps"][None][..., order],
        "features": arrays["features"][None],
        "picture": arrays["picture"][None],
    }
    np.testing.assert_allclose(network.fusion(inputs)[0], arrays["added"], atol=1e-3)


def set_kernel(layer, weights, name, inputs=slice(None)):
    layer.set_weights([weights[f"{name}.weight"].transpose(2, 3, 1, 0)[:, :, inputs], weights[f"{name}.bias"]])


def test_what_is_shown_nowhere_is_left_to_the_branch(rng):
    network = tiny_mobile(trusted=(0.5, 0.8))
    lr, ref = photos(rng, (8, 9), (32, 40))
    np.testing.assert_array_equal(network({"lr": lr, "ref": ref}), network({"lr": lr}))
