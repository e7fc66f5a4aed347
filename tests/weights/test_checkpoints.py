"""Published checkpoints are imported, and other files are refused by name."""

import keras
import numpy as np
import pytest
from golden_models import KEYS, golden, state

from c2m_tf import C2Matching
from c2m_tf.cli import main
from c2m_tf.weights import checkpoints


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The golden weights as the .pth files that the authors and torchvision publish."""
    torch = pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("published")
    names = {
        "extractor": "feature_extraction",
        "restoration_full": "c2_matching_restoration_mse",
        "restoration_light": "light",
        "vgg19": "vgg19",
        "discriminator": "discriminator",
    }
    for key, name in names.items():
        tensors = {parameter: torch.from_numpy(np.array(array)) for parameter, array in state(key).items()}
        torch.save(tensors, folder / f"{name}.pth")
    return folder


def import_weights(files, output, restoration="c2_matching_restoration_mse", *more):
    published = ["--extractor", f"{files}/feature_extraction.pth", "--restoration", f"{files}/{restoration}.pth"]
    return main(["import-weights", *published, "--vgg", f"{files}/vgg19.pth", "-o", str(output), *more])


@pytest.mark.parametrize(("restoration", "variant"), [("c2_matching_restoration_mse", "full"), ("light", "light")])
def test_imported_file_gives_the_golden_output(files, tmp_path, restoration, variant):
    output = tmp_path / "imported.keras"
    assert import_weights(files, output, restoration) == 0
    arrays = golden(variant)
    model = keras.saving.load_model(output)
    sr = model.predict_on_batch({"lr": arrays["lr"][None], "ref": arrays["ref"][None]})
    np.testing.assert_allclose(sr, arrays["output"], atol=3e-5)


def test_discriminator_is_saved_beside_the_model(files, tmp_path):
    output = tmp_path / "full.keras"
    assert import_weights(files, output, "light", "--discriminator", f"{files}/discriminator.pth") == 0
    critic = keras.saving.load_model(tmp_path / "full.discriminator.keras")
    arrays = golden("adversarial_losses")
    np.testing.assert_allclose(critic(arrays["hr"], training=True)[:, 0], arrays["critic_real"], atol=1e-5)


def test_prefix_of_training_on_several_gpus_is_stripped(files, tmp_path):
    torch = pytest.importorskip("torch")
    tensors = torch.load(files / "light.pth", weights_only=True)
    torch.save({f"module.{name}": value for name, value in tensors.items()}, tmp_path / "prefixed.pth")
    assert set(checkpoints.read_torch_checkpoint(tmp_path / "prefixed.pth")) == set(tensors)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    torch = pytest.importorskip("torch")

    class Harmful:
        def __reduce__(self):
            return (print, ("this must not run",))

    torch.save({"weight": Harmful()}, tmp_path / "harmful.pth")
    with pytest.raises(checkpoints.CheckpointError, match="not a PyTorch checkpoint of plain tensors"):
        checkpoints.read_torch_checkpoint(tmp_path / "harmful.pth")


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04 broken zip"])
def test_damaged_files_are_refused(tmp_path, content):
    pytest.importorskip("torch")
    (tmp_path / "damaged.pth").write_bytes(content)
    with pytest.raises(checkpoints.CheckpointError, match="not a PyTorch checkpoint"):
        checkpoints.read_torch_checkpoint(tmp_path / "damaged.pth")


def test_command_names_the_fault_in_one_line(files, tmp_path, capsys):
    output = tmp_path / "full.keras"
    assert import_weights(files, output, "feature_extraction") == 2
    message = capsys.readouterr().err
    assert "not a checkpoint of the light restoration network; missing: " in message
    assert message.count("\n") == 1
    assert not output.exists()
    assert import_weights(files, tmp_path / "full.h5") == 2
    assert "a Keras file; name it so" in capsys.readouterr().err
    assert import_weights(files, output, "nothing") == 2
    assert "nothing.pth does not exist" in capsys.readouterr().err


def test_missing_and_left_over_names_are_reported():
    arrays = state("restoration_light")
    arrays["surplus.weight"] = arrays.pop("dyn_agg_restore.head_small.0.bias")
    model = C2Matching.light()
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(checkpoints.CheckpointError, match=r"missing: head_small_0_bias; left over: surplus\.weight"):
        checkpoints.load_restoration(model, arrays)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_a_wrong_shape_is_reported_and_nothing_is_changed():
    arrays = state("extractor")
    name = "feature_extraction_image2.model.conv3_1.weight"
    arrays[name] = arrays[name][:, :64]
    model = C2Matching.light()
    before = model.extractor_lr.variables[0].numpy()
    with pytest.raises(checkpoints.CheckpointError, match=r"image2.model.conv3_1.weight has shape \(256, 64, 3, 3\)"):
        checkpoints.load_extractors(model, arrays)
    np.testing.assert_array_equal(model.extractor_lr.variables[0].numpy(), before)


def test_full_checkpoint_does_not_fit_the_light_network():
    with pytest.raises(checkpoints.CheckpointError, match=r"left over: .* and \d+ more"):
        checkpoints.load_restoration(C2Matching.light(), state("restoration_full"))


def test_every_published_name_is_known():
    assert {name: len(keys) for name, keys in KEYS.items()} == {
        "vgg19": 10,
        "vgg19_relu5_1": 26,
        "extractor": 24,
        "restoration_full": 296,
        "restoration_light": 208,
        "discriminator": 74,
        "mobile_descriptors": 10,
        "mobile_fusion": 30,
    }
