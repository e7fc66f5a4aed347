"""What runs start from: extractors of a preset, of a student run, or both."""

import numpy as np
import pytest
from c2m_tf.training.config import read_config
from c2m_tf.training.starts import network_of, student_extractors
from c2m_tf.training.trainers import Extractors
from training_data import make
from training_runs import SMOKE

from c2m_tf import C2Matching

EXTRACTORS = ("extractor_lr", "extractor_ref")


@pytest.fixture(scope="module")
def light():
    return C2Matching.from_preset("light")


def equal(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_a_student_may_start_from_the_extractors_of_a_preset(light):
    config = read_config("student", SMOKE / "student.yaml", ["start=light", "teacher=null"])
    extractors = student_extractors(config)
    assert all(equal(getattr(extractors, name), getattr(light, name)) for name in EXTRACTORS)


def test_extractors_of_a_student_run_replace_those_of_the_start_and_nothing_else(light, tmp_path):
    student = Extractors()
    student.save_weights(tmp_path / "student.weights.h5")
    settings = ["start=light", f"extractors={tmp_path / 'student.weights.h5'}"]
    network = network_of(read_config("restoration", SMOKE / "restoration.yaml", settings))
    assert all(equal(getattr(network, name), getattr(student, name)) for name in EXTRACTORS)
    assert not any(equal(getattr(network, name), getattr(light, name)) for name in EXTRACTORS)
    assert all(equal(getattr(network, name), getattr(light, name)) for name in ("reference_encoder", "restoration"))


def test_a_run_takes_the_network_of_its_start_unless_it_says_otherwise(light):
    settings = ["start=light", "learns_offsets=true", "extractors=null"]
    network = network_of(read_config("restoration", SMOKE / "restoration.yaml", [*settings, "variant=null"]))
    assert network.get_config() == light.get_config()
    grown = network_of(read_config("restoration", SMOKE / "restoration.yaml", [*settings, "residual_offsets=true"]))
    assert grown.residual_offsets
    assert grown.variant == light.variant


def test_a_run_without_a_start_has_the_published_network_the_students_extractors_and_vggs_encoder(tmp_path):
    student = Extractors()
    student.save_weights(tmp_path / "student.weights.h5")
    settings = [f"root={make(tmp_path / 'root')}", f"extractors={tmp_path / 'student.weights.h5'}"]
    network = network_of(read_config("restoration", SMOKE / "restoration.yaml", settings))
    assert (network.variant, network.residual_offsets) == ("light", True)
    assert all(equal(getattr(network, name), getattr(student, name)) for name in EXTRACTORS)
    with np.load(tmp_path / "root/weights/vgg19.npz") as vgg:
        kernel, published = np.asarray(network.reference_encoder.get_layer("conv1_2").kernel), vgg["conv1_2_W"]
        # Scaled, as all layers are, so that features are of about one size.
        np.testing.assert_allclose(kernel, published * (np.linalg.norm(kernel) / np.linalg.norm(published)), atol=1e-6)


@pytest.mark.parametrize("keeps", [True, False])
def test_an_adversarial_run_keeps_the_trunk_of_its_start_or_works_without(light, keeps):
    settings = ["start=light", f"keeps_own_trunk={str(keeps).lower()}"]
    network = network_of(read_config("adversarial", SMOKE / "adversarial.yaml", settings))
    assert network.own_trunk is keeps
    assert all(equal(part, light.parts[name]) for name, part in network.parts.items())


def test_a_trunk_run_may_give_a_network_a_trunk_of_its_own(light, tmp_path):
    arrays = {"/".join(variable.path.split("/")[-2:]): np.asarray(variable) for variable in light.trunk.variables}
    np.savez(tmp_path / "trunk.npz", **arrays)
    settings = ["start=light-photo", "own_trunk=true", f"trunk={tmp_path / 'trunk.npz'}"]
    network = network_of(read_config("trunk", SMOKE / "trunk.yaml", settings))
    assert network.own_trunk
    assert equal(network.trunk, light.trunk)
    photo = C2Matching.from_preset("light-photo")
    assert all(equal(network.parts[name], part) for name, part in photo.parts.items())
