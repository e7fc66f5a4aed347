"""Golden weights and arrays, and models that carry them."""

import json
import sys
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))

from recipe import golden_state  # noqa: E402

from c2m_tf import C2Matching  # noqa: E402
from c2m_tf.network.restoration import PUBLISHED  # noqa: E402
from c2m_tf.weights import checkpoints  # noqa: E402

KEYS = json.loads((GOLDEN / "keys.json").read_text())


def golden(name):
    """Arrays of one golden file."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def state(name):
    """The golden weights under published names, e.g. state("restoration_full")."""
    return golden_state(KEYS[name])


def golden_model(variant, dtype="float32"):
    """C2Matching with the golden weights."""
    model = C2Matching(**PUBLISHED[variant], dtype=dtype)
    checkpoints.load_extractors(model, state("extractor"))
    checkpoints.load_restoration(model, state(f"restoration_{variant}"))
    checkpoints.load_reference_encoder(model, state("vgg19"))
    return model
