"""Fixtures that all tests share."""

import os
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import pytest
from golden_models import golden_model
from tiny_models import tiny_model

# Reasons for which a test may be skipped although everything it needs is installed.
EXPECTED_SKIPS = ("the superuser may write everywhere",)

# Modules that take longest. Those of pytest-xdist's order, by their number of tests, would leave some of these for the end.
LONGEST = (
    "test_runs",
    "test_backends",
    "test_tflite",
    "test_quantization",
    "test_phone_mobile",
    "test_saved_model",
    "test_model",
    "test_kills",
    "test_large_photos",
    "test_mobile_upscaler",
    "test_trainers",
    "test_robustness",
    "test_keras_settings",
    "test_wheel",
)


def pytest_configure(config):
    config.option.loadscope_reorder = False


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_addoption(parser):
    parser.addoption("--no-unexpected-skips", action="store_true", help="fail if a test is skipped that need not be")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if not session.config.getoption("--no-unexpected-skips") or hasattr(session.config, "workerinput"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = [
        report
        for report in reporter.stats.get("skipped", [])
        if not any(reason in str(report.longrepr) for reason in EXPECTED_SKIPS)
    ]
    for report in skipped:
        reporter.write_line(f"unexpected skip: {report.nodeid}: {report.longrepr}", red=True)
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def full():
    return golden_model("full")


@pytest.fixture(scope="session")
def light():
    return golden_model("light")


@pytest.fixture(scope="session")
def tiny():
    """A network of 2 blocks of width 8, for tests that are not about golden numbers."""
    return tiny_model()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(autouse=True)
def same_dtype_everywhere(monkeypatch):
    """--dtype auto is float32 on every machine, so that results can be compared exactly."""
    monkeypatch.setattr("c2m_tf.upscaling.opening.fastest_dtype", lambda: "float32")


@pytest.fixture(autouse=True)
def seeded():
    """Keras draws the seeds of initial weights from Python's generator.

    `keras.utils.set_random_seed` seeds TensorFlow as well, which then prepares all functions that it has compiled anew.
    """
    random.seed(0)
