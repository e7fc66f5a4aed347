"""C2Matching equals the published networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from golden_models import golden, golden_model, state
from tiny_models import equal, tiny_mobile, tiny_model

from c2m_tf import C2Matching
from c2m_tf.network.features import reference_encoder
from c2m_tf.network.matching import bordered
from c2m_tf.presets import load_model
from c2m_tf.weights import checkpoints

TOLERANCE = 3e-5


def close(actual, expected, tolerance=TOLERANCE):
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("variant", ["full", "light"])
def test_every_golden_array_is_reproduced(variant, request):
    model, arrays = request.getfixturevalue(variant), golden(variant)
    lr, ref = arrays["lr"][None], arrays["ref"][None]

    reference = model.encode_reference(ref)
    flow, score = model.find_flow(lr, reference)
    close(model.extractor_lr(arrays["lr_up"][None]), arrays["dense_features1"])
    close(reference["matching"], arrays["dense_features2"])
    np.testing.assert_array_equal(np.asarray(flow)[..., ::-1], arrays["flow"])
    close(score[0], arrays["max_val"])

    encoder = reference_encoder()
    checkpoints.load_vgg_stem(encoder, state("vgg19"))
    for level, activation in encoder(ref).items():
        close(activation, arrays[f"ref_feat_{level}"])

    layers = {
        "content_feat": "content_extractor_body_15_add",
        "tail_small": "tail_small_leaky",
        "tail_medium": "tail_medium_leaky",
        "medium_dyn_agg": "medium",
        "large_dyn_agg": "large",
        "output": "sr",
    }
    if variant == "full":
        layers["small_dyn_agg"] = "small"
    restoration = model.restoration
    probe = keras.Model(restoration.input, {name: restoration.get_layer(layer).output for name, layer in layers.items()})
    inputs = {"lr": lr, "flow": np.asarray(bordered(flow)), "strength": np.ones(1, np.float32)}
    for level in model.levels:  # photos of equal size: the context is the whole reference
        inputs[level] = inputs[f"context_{level}"] = np.asarray(reference[level])
    for name, value in probe(inputs).items():
        expected = arrays[name]
        if name.endswith("dyn_agg"):  # the golden arrays stand before the LeakyReLU
            expected = np.where(expected > 0, expected, 0.1 * expected)
        close(value, expected)


@pytest.mark.parametrize("variant", ["full", "light"])
def test_whole_model_gives_the_golden_output(variant, request):
    arrays = golden(variant)
    sr = request.getfixturevalue(variant).predict_on_batch({"lr": arrays["lr"][None], "ref": arrays["ref"][None]})
    close(sr, arrays["output"])


def test_index_map_of_the_padded_protocol_is_reproduced(full):
    arrays = golden("padded_protocol")
    reference = full.encode_reference(arrays["ref"][None])
    flow, _ = full.find_flow(arrays["lr"][None], reference)
    np.testing.assert_array_equal(np.asarray(flow)[..., ::-1], arrays["flow"])
    close(full.restore(arrays["lr"][None], flow, reference), arrays["output"])


def test_batch_equals_single_photos(tiny, rng):
    lr, ref = rng.random((3, 9, 11, 3), np.float32), rng.random((3, 40, 28, 3), np.float32)
    together = tiny.predict_on_batch({"lr": lr, "ref": ref})
    for index in range(3):
        alone = tiny.predict_on_batch({"lr": lr[index : index + 1], "ref": ref[index : index + 1]})
        close(together[index], alone[0])


@pytest.mark.parametrize(("lr_size", "ref_size"), [((3, 3), (12, 12)), ((7, 10), (13, 50)), ((12, 5), (61, 19))])
def test_any_two_sizes_work(tiny, rng, lr_size, ref_size):
    lr, ref = rng.random((1, *lr_size, 3), np.float32), rng.random((1, *ref_size, 3), np.float32)
    sr = tiny.predict_on_batch({"lr": lr, "ref": ref})
    assert sr.shape == (1, 4 * lr_size[0], 4 * lr_size[1], 3)
    assert np.isfinite(sr).all()


def test_pixels_beyond_a_multiple_of_four_are_no_candidates(tiny, rng):
    reference = tiny.encode_reference(rng.random((1, 18, 29, 3), np.float32))
    candidates = np.asarray(reference["candidates"])
    assert candidates.shape == (5, 8)
    assert candidates.sum() == 4 * 7


def test_a_reference_given_twice_changes_nothing(tiny, rng):
    lr, ref = rng.random((1, 8, 9, 3), np.float32), rng.random((1, 44, 40, 3), np.float32)
    once = tiny.predict_on_batch({"lr": lr, "ref": ref})
    twice = tiny.predict_on_batch({"lr": lr, "ref": [ref, ref]})
    close(twice, once)


def test_atlas_finds_what_only_the_second_reference_shows(tiny, rng):
    photo = rng.random((1, 16, 16, 3), np.float32)
    lr = rng.random((1, 6, 6, 3), np.float32)
    _, alone = tiny.find_flow(lr, tiny.encode_reference(photo))
    other = rng.random((1, 20, 36, 3), np.float32)
    _, both = tiny.find_flow(lr, tiny.encode_reference([other, photo]))
    _, first = tiny.find_flow(lr, tiny.encode_reference(other))
    close(both, np.maximum(np.asarray(alone), np.asarray(first)))


def test_model_survives_saving_in_safe_mode(full, tmp_path):
    path = tmp_path / "full.keras"
    full.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    assert isinstance(loaded, C2Matching)
    assert loaded.get_config() == full.get_config()
    assert equal(loaded, full)


def test_a_file_loads_under_another_dtype_policy(tiny, tmp_path):
    tiny.save(tmp_path / "light.keras")
    assert load_model(tmp_path / "light.keras").dtype_policy.name == "float32"
    half = load_model(tmp_path / "light.keras", "mixed_bfloat16")
    assert half.restoration.get_layer("head_small_0").compute_dtype == "bfloat16"
    for mine, theirs in zip(half.variables, tiny.variables, strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs.numpy())


def test_bfloat16_samples_where_float32_does(rng):
    arrays = golden("light")
    model, half = golden_model("light"), golden_model("light", "mixed_bfloat16")
    assert half.restoration.get_layer("head_small_0").compute_dtype == "bfloat16"
    flow = np.zeros((1, *arrays["lr"].shape[:2], 2), np.float32)
    # A cell far beyond the 256 that bfloat16 counts up to: a coordinate rounded to it would sample other pixels.
    reference = {
        name: np.asarray(value) for name, value in model.encode_reference(rng.random((1, 16, 1604, 3), np.float32)).items()
    }
    flow[..., 1] = 301 + np.arange(flow.shape[2]) % 3
    expected = np.asarray(model.restore(arrays["lr"][None], flow, reference))
    sr = np.asarray(half.restore(arrays["lr"][None], flow, reference))
    assert sr.dtype == np.float32
    error = np.sqrt(np.mean((sr - expected) ** 2))
    moved = np.sqrt(
        np.mean((np.asarray(model.restore(arrays["lr"][None], flow + np.float32([0, 1]), reference)) - expected) ** 2)
    )
    assert error < 0.3 * moved, (error, moved)


def test_symbolic_calls_say_what_real_ones_return(rng):
    model = tiny_model(dtype="mixed_bfloat16")
    lr, ref = rng.random((1, 4, 5, 3), np.float32), rng.random((1, 16, 20, 3), np.float32)
    for inputs in ({"lr": lr, "ref": ref}, {"lr": lr}, {"lr": lr, "ref": [ref, ref], "strength": np.ones(1, np.float32)}):
        symbols = keras.tree.map_structure(lambda value: keras.KerasTensor(value.shape, "float32"), inputs)
        symbolic, real = model(symbols), model(inputs)
        assert symbolic.dtype == keras.backend.standardize_dtype(real.dtype) == "float32"
        assert symbolic.shape == real.shape


def test_model_trains_by_fit(rng):
    model = tiny_model()
    photos = {"lr": rng.random((2, 6, 6, 3), np.float32), "ref": rng.random((2, 24, 24, 3), np.float32)}
    hr = rng.random((2, 24, 24, 3), np.float32)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    model.compile("adam", "mae")
    history = model.fit(photos, hr, epochs=4, batch_size=2, verbose=0).history["loss"]
    assert history[-1] < history[0]
    changed = {variable.path for variable in model.trainable_variables if (variable.numpy() != before[variable.path]).any()}
    assert {path.split("/")[0] for path in changed} == {"reference_encoder", "restoration"}
    assert not any(path.startswith("extractor") for path in before)


@pytest.mark.parametrize("new", [tiny_model, lambda: tiny_mobile(reference_scales=(1.0,), refined_scales=())])
def test_a_model_that_was_never_called_is_exported(rng, tmp_path, new, monkeypatch):
    monkeypatch.setattr("c2m_tf.network.levels.LEVELS", 1)  # each adds to the graph; test_levels has several
    model = new()
    assert model.export(tmp_path / "saved", format="tf_saved_model", verbose=False) is None
    loaded = tf.saved_model.load(tmp_path / "saved")
    for size, reference in ((8, 32), (7, 29)):
        inputs = {"lr": rng.random((1, size, 9, 3), np.float32), "ref": rng.random((1, reference, 36, 3), np.float32)}
        np.testing.assert_allclose(loaded.serve(inputs), model(inputs), atol=1e-4)


def test_a_model_that_was_never_called_is_exported_for_litert(rng, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    model = tiny_model(own_trunk=True)
    path = tmp_path / "tiny.tflite"
    model.export(path, format="litert", verbose=False)
    runner = interpreter.Interpreter(str(path)).get_signature_runner()
    shapes = {name: tuple(details["shape"]) for name, details in runner.get_input_details().items()}
    assert shapes == {"lr": (1, 64, 64, 3), "ref": (1, 256, 256, 3)}
    inputs = {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
    (sr,) = runner(**inputs).values()
    np.testing.assert_allclose(sr, model(inputs), atol=1e-3)


def test_a_summary_names_the_parts(tiny):
    lines = []
    tiny.summary(print_fn=lines.append)
    assert all(name in "\n".join(lines) for name in tiny.parts)
