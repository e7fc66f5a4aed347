"""Fixtures that all tests share."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest
from golden_models import golden_model


@pytest.fixture(scope="session")
def full():
    return golden_model("full")


@pytest.fixture(scope="session")
def light():
    return golden_model("light")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(0)
