"""The package's classes as Keras finds them when it loads a file, without importing them before they are needed.

Keras finds a custom class by its registered name alone, and a class registers when its module is imported. So that
`import c2m_tf` is enough for `keras.saving.load_model("model.keras")`, and yet imports no Keras itself, the names below are
entered into Keras's table once Keras is imported, whoever imports it, each with a stand-in that imports the class when a file
asks for it.
"""

import importlib
from typing import Any

import wrapt

# Registered name: module. A test compares this table with what the modules register.
MODULES = {
    "c2m_tf>ApproximateGELU": "c2m_tf.network.single_image",
    "c2m_tf>BilinearUpsample": "c2m_tf.network.upsampling",
    "c2m_tf>C2Matching": "c2m_tf.network.model",
    "c2m_tf>DynamicAggregation": "c2m_tf.network.aggregation",
    "c2m_tf>FlowWarping": "c2m_tf.network.aggregation",
    "c2m_tf>ImageNetNormalization": "c2m_tf.network.features",
    "c2m_tf>LargestAround": "c2m_tf.network.single_image",
    "c2m_tf>Mobile": "c2m_tf.network.mobile",
    "c2m_tf>ModulatedDeformConv2D": "c2m_tf.network.deform_conv",
    "c2m_tf>PSNR": "c2m_tf.evaluation.metrics",
    "c2m_tf>PixelShuffle": "c2m_tf.network.restoration",
    "c2m_tf>PixelsOfChannels": "c2m_tf.network.single_image",
    "c2m_tf>SSIM": "c2m_tf.evaluation.metrics",
    "c2m_tf>SplitChannels": "c2m_tf.network.single_image",
    "c2m_tf>TwiceDifferentiableBatchNormalization": "c2m_tf.network.discriminator",
    "c2m_tf>UnitLength": "c2m_tf.network.single_image",
    "c2m_tf>VarianceAround": "c2m_tf.network.single_image",
    "c2m_tf>WeightedSum": "c2m_tf.network.single_image",
    "c2m_tf.export>ActivationRange": "c2m_tf.export.fake_quantization",
    "c2m_tf.export>PhoneAggregation": "c2m_tf.export.phone_aggregation",
    "c2m_tf.export>PhoneNetwork": "c2m_tf.export.phone_network",
    "c2m_tf.export>QuantizedConv2D": "c2m_tf.export.fake_quantization",
    "c2m_tf.training>Extractors": "c2m_tf.training.trainers",
    "c2m_tf.training>GroupedAdam": "c2m_tf.training.optimizers",
    "c2m_tf.training>Schedule": "c2m_tf.training.optimizers",
}


class _StandIn:
    """Stands for a class in Keras's table until a file asks for it."""

    def __init__(self, module: str, name: str) -> None:
        self._module = module
        self._name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        return getattr(importlib.import_module(self._module), self._name).from_config(config)


def register_once_keras_is_imported() -> None:
    """Enters the package's classes into Keras's table of custom objects, now or when Keras is imported."""
    wrapt.register_post_import_hook(_register, "keras")


def _register(keras: Any) -> None:
    objects = keras.saving.get_custom_objects()
    for registered_name, module in MODULES.items():
        objects.setdefault(registered_name, _StandIn(module, registered_name.partition(">")[2]))
