"""Every model of the package is saved by Keras and loaded again, with nothing imported but c2m_tf and keras."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from c2m_tf.export.phone_network import PhoneNetwork
from c2m_tf.training.trainers import Extractors
from tiny_models import tiny_model

import c2m_tf
from c2m_tf import C2Matching
from c2m_tf.network.discriminator import discriminator
from c2m_tf.network.features import contrastive_extractor, perceptual_stem, reference_encoder
from c2m_tf.network.restoration import restoration_network, trunk_network

OLD_FILE = Path(__file__).parent / "golden" / "light_before_folders.keras"


def python(script, path=""):
    """What a new process prints that runs the script; modules are also found in the folder `path`."""
    environment = os.environ | {"PYTHONPATH": str(path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What `model.save(folder, zipped=False)` writes, of a model saved before the modules were moved into folders."""
    folder = tmp_path_factory.mktemp("hub") / "light"
    with zipfile.ZipFile(OLD_FILE) as file:
        file.extractall(folder)
    return folder


def test_classes_are_found_when_keras_was_imported_first():
    script = "import keras, c2m_tf\nprint('c2m_tf>C2Matching' in keras.saving.get_custom_objects())"
    assert python(script) == "True\n"


def test_files_and_folders_hold_the_weights_they_were_saved_with(folder):
    for source in (OLD_FILE, str(folder)):
        for index, array in enumerate(C2Matching.from_preset(source).get_weights()):
            np.testing.assert_allclose(array, np.full_like(array, (index % 7 - 3) * 1e-3), rtol=1e-6)


def test_a_new_process_loads_files_of_older_versions_and_handles_of_the_hub(folder):
    # In place of the package that downloads, one that hands out the folder.
    (folder.parent / "huggingface_hub.py").write_text(
        f"def snapshot_download(repo_id, **options):\n    assert repo_id == 'somebody/light'\n    return {str(folder)!r}\n"
    )
    script = (
        f"import c2m_tf, keras\nmodel = keras.saving.load_model({str(OLD_FILE)!r})\n"
        "print(type(model).__name__, model.variant)\n"
        "print(c2m_tf.C2Matching.from_preset('hf://somebody/light').variant)"
    )
    *_, old, hub = python(script, folder.parent).splitlines()
    assert (old, hub) == ("C2Matching light", "light")


def test_folders_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} cannot be loaded as a Keras model"):
        C2Matching.from_preset(tmp_path)


def test_importing_the_package_imports_no_keras():
    assert python("import sys, c2m_tf, c2m_tf.cli; print('keras' in sys.modules, 'numpy' in sys.modules)") == "False False\n"


def test_public_names_are_known_before_they_are_loaded():
    assert set(c2m_tf.__all__) - {"__version__"} <= set(dir(c2m_tf))
    assert all(getattr(c2m_tf, name) is not None for name in c2m_tf.__all__)


def test_every_class_that_registers_is_in_the_table():
    script = (
        "import importlib, pkgutil, c2m_tf, keras\n"
        "from c2m_tf.startup import MODULES\n"
        "for module in pkgutil.walk_packages(c2m_tf.__path__, 'c2m_tf.'):\n"
        "    if not module.name.endswith('__main__'):\n"
        "        importlib.import_module(module.name)\n"
        "for name in ('training', 'export'):\n"
        "    package = importlib.import_module(f'c2m_tf.{name}')\n"
        "    for module in pkgutil.walk_packages(package.__path__, f'c2m_tf.{name}.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "ours = {key: value for key, value in keras.saving.get_custom_objects().items() if key.startswith('c2m_tf')}\n"
        "assert ours.keys() == MODULES.keys(), ours.keys() ^ MODULES.keys()\n"
        "assert {key: value.__module__ for key, value in ours.items()} == MODULES\n"
    )
    python(script)


MODELS = {
    "light": tiny_model,
    "bfloat16": lambda: tiny_model(dtype="mixed_bfloat16"),
    "extractors": Extractors,
    "extractor": lambda: contrastive_extractor("extractor_lr"),
    "encoder": reference_encoder,
    "perceptual": lambda: perceptual_stem("relu2_1"),
    "restoration": lambda: restoration_network(1, 1, 1, 1, 8, residual_offsets=False),
    "trunk": lambda: trunk_network(restoration_network(1, 1, 1, 1, 8)),
    "discriminator": lambda: discriminator(published=True),
    "phone": lambda: PhoneNetwork(tiny_model(residual_offsets=False, own_trunk=True)),
    "quantized": lambda: PhoneNetwork(tiny_model(residual_offsets=False), quantized=True),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_saved_and_loaded(name, tmp_path):
    model = MODELS[name]()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert loaded.dtype_policy.name == model.dtype_policy.name
    for before, after in zip(model.variables, loaded.variables, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)
