"""Networks as they go into a TFLite file: matching and aggregation in another form, and rounding for int8."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import layers, ops

from c2m_tf.network import subcell
from c2m_tf.network.aggregation import DynamicAggregation
from c2m_tf.network.base import ReferenceModel, clone_model
from c2m_tf.network.features import ImageNetNormalization
from c2m_tf.network.levels import Searches, halved, match_around, match_by_levels
from c2m_tf.network.matching import flow_from_matches
from c2m_tf.network.mobile import Matches, Mobile, encode_copy
from c2m_tf.network.model import C2Matching, around_pixels
from c2m_tf.network.single_image import Conv2D
from c2m_tf.network.tensors import Tensor
from c2m_tf.network.upsampling import bicubic_upsample

from .fake_quantization import ActivationRange, QuantizedConv2D, kernel_limit
from .phone_aggregation import PhoneAggregation
from .phone_matching import after, match, match_coarsely

_PIXELS = (0.0, 1.0)

# A file takes no functions that are traced once for all calls.
_SEARCHES = Searches(lambda lr, ref, candidates: match(lr, ref), halved, match_around)


class PhoneForm(keras.Model):
    """What networks for TFLite files have in common.

    Attributes:
        original: the class of networks that one is made of.
        arguments: of that network.
        parts: their functional models, by name.
        quantized: whether activations and kernels are rounded as int8 will round them.
        own_trunk: whether what restores photos without a reference is no part of what restores them with one.
        variant: what the file's description calls the network.
        locate: of small photos, matches int32 [1,h-2,w-2,2] and scores float32 [1,h-2,w-2].
    """

    original: type[ReferenceModel]
    arguments: dict[str, Any]
    parts: dict[str, keras.Model]
    quantized: bool
    own_trunk: bool
    variant: str
    locate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]

    def ranges(self) -> Iterator[ActivationRange]:
        """All layers that round activations."""
        return (layer for layer in self._all_layers() if isinstance(layer, ActivationRange))

    def fit_kernel_limits(self) -> None:
        """Sets the range of each filter to its largest magnitude."""
        for layer in self._all_layers():
            if isinstance(layer, QuantizedConv2D):
                layer.limit.assign(kernel_limit(layer.kernel.numpy()))
            elif isinstance(layer, PhoneAggregation) and layer.quantized:
                layer.limit.assign(kernel_limit(layer.deform_conv.kernel.numpy()))

    def hold_kernels(self) -> None:
        """Makes the kernels that are rearranged constants, as the converter expects; the network is then for export only."""
        for layer in self._all_layers():
            if isinstance(layer, PhoneAggregation):
                layer.hold_kernel()

    def _all_layers(self) -> Iterator[keras.Layer]:
        """Layers of the parts, and those within aggregations."""
        for part in self.parts.values():
            for layer in part.layers:
                yield layer
                if isinstance(layer, PhoneAggregation):
                    yield from layer.inner_layers

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, **self.arguments, "quantized": self.quantized}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "PhoneForm":
        name, quantized, arguments = config["name"], config["quantized"], {**config}
        del arguments["name"], arguments["quantized"]
        return cls(cls.original.from_config(arguments), quantized, name)


@keras.saving.register_keras_serializable("c2m_tf.export")
class PhoneNetwork(PhoneForm, C2Matching):
    """A C2Matching model with the same weights, in the form that a TFLite file holds.

    References must be at least four times as high and as wide as the LR photo.

    Args:
        network: C2Matching, float32, that does not aggregate relu3_1, as light ones.
        quantized: whether activations and kernels are rounded as int8 will round them. The ranges of activations are empty
            then; `calibration` fills them.

    Raises:
        ValueError: another kind of C2Matching.
    """

    original = C2Matching

    def __init__(self, network: C2Matching, quantized: bool = False, name: str = "phone_network") -> None:
        if "relu3_1" in network.levels:
            raise ValueError(f"a {network.variant} model is too large for phones; export a light one")
        if network.arguments["flow_warping"]:
            raise ValueError(f"a {network.variant} model is for comparisons alone; export a light one")
        # A trunk of its own multiplies features with features, which coarse steps harm, and is small: it stays in float.
        parts = {name: _clone(part, quantized and name != "trunk") for name, part in network.parts.items()}
        super().__init__(**network.arguments, name=name, parts=parts)
        self.quantized = quantized

    def locate(self, lr: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """Matches of a small photo in a small reference, exact to two cells (`phone_matching.match_coarsely`).

        Args:
            lr: [1,h,w,3] in [0, 1].
            ref: [1,H,W,3] in [0, 1], H and W multiples of 4.

        Returns:
            matches: int32 [1,h-2,w-2,2], (y, x).
            score: float32 [1,h-2,w-2].
        """
        return match_coarsely(self.extractor_lr(bicubic_upsample(lr)), self.extractor_ref(ref))

    def call(self, inputs: dict[str, Any], training: bool = False) -> Tensor:
        if "ref" not in inputs or inputs["lr"].shape[0] != 1:
            return super().call(inputs, training=training)  # without a reference, or a batch, in training
        lr, ref = inputs["lr"], inputs["ref"]
        matches, score = match(self.extractor_lr(bicubic_upsample(lr)), self.extractor_ref(ref))
        flow = flow_from_matches(matches)
        # What restoration needs of the reference is not kept while patches are matched.
        encoded = self.reference_encoder(after(ref, flow))
        return self.restore(lr, flow, encoded, score=around_pixels(score), training=training)


@keras.saving.register_keras_serializable("c2m_tf.export")
class PhoneMobile(PhoneForm, Mobile):
    """A Mobile model with the same weights, in the form that a TFLite file holds.

    Args:
        network: Mobile, float32.
        quantized: as of `PhoneNetwork`, of the fusion, which has half of the weights. The single-image branch, small and full
            of products of features, stays in float; so do the descriptors.
    """

    original = Mobile
    own_trunk = True

    def __init__(self, network: Mobile, quantized: bool = False, name: str = "phone_mobile") -> None:
        parts = {part: _clone(network.parts[part], quantized and part == "fusion") for part in network.parts}
        super().__init__(**network.arguments, name=name, parts=parts)
        self.quantized = quantized

    def match_cells(self, lr: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """As of `Mobile`; batches, in training, are searched as there."""
        if lr.shape[0] != 1:
            return super().match_cells(lr, ref)
        return match_by_levels(lr, ref, searches=_SEARCHES)

    def restore(self, lr: Tensor, matches: Matches, *arguments: Any, **options: Any) -> Tensor:
        """As of `Mobile`."""
        return super().restore(lr, matches._replace(score=_apart(matches.score)), *arguments, **options)

    def _fused(self, taps: Tensor, features: Tensor, picture: Tensor, training: bool) -> Tensor:
        return super()._fused(taps, _apart(features), _apart(picture), training)

    def locate(self, lr: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """As of `PhoneNetwork`."""
        cells = encode_copy(ref)["phases"]
        return match_coarsely(self.descriptors(lr), self.descriptors(subcell.first_phase(cells)))


def _apart(values: Tensor) -> Tensor:
    """The same in float: what the fusion takes in int8 would be so where it comes from, where scores are compared, too.

    By a zero that the converter cannot know.
    """
    return values + ops.clip(values, 0.0, 0.0)


def phone_form(network: keras.Model, quantized: bool = False) -> PhoneForm:
    """A network in the form that a TFLite file holds.

    Args:
        network: C2Matching or Mobile, float32.
        quantized: whether activations and kernels are rounded.

    Raises:
        ValueError: a C2Matching model that is none of the light ones.
    """
    return PhoneMobile(network, quantized) if isinstance(network, Mobile) else PhoneNetwork(network, quantized)


def _clone(part, quantized):
    """A functional model with the same weights, its layers replaced by those for phones."""
    before_relu = [layer.input for layer in part.layers if isinstance(layer, layers.ReLU)]

    def exchanged(layer):
        config = layer.get_config()
        if isinstance(layer, DynamicAggregation):
            return PhoneAggregation.from_config({**config, "quantized": quantized})
        if isinstance(layer, Conv2D):
            return Conv2D.from_config({**config, "as_product": False})
        if quantized and isinstance(layer, layers.Conv2D):
            return QuantizedConv2D.from_config(config)
        return type(layer).from_config(config)

    def called(layer, *inputs: Any, **options: Any):
        if isinstance(layer, DynamicAggregation):
            inputs = inputs[:-1]  # without the strength: a file has one signature for 1 and one for 0
        if quantized and layer.name == "content_extractor_conv_first":
            inputs = (ActivationRange(_PIXELS, name="range_lr")(inputs[0]), *inputs[1:])
        if quantized and layer.name == "enter":
            inputs = (ActivationRange(name="range_taps")(inputs[0]), *inputs[1:])
        outputs = layer(*inputs, **options)
        if quantized and _is_rounded(part.get_layer(layer.name), before_relu):
            outputs = ActivationRange(name=f"range_{layer.name}")(outputs)
        return outputs

    clone = clone_model(part, clone_function=exchanged, call_function=called)
    values = {_name(variable): variable for variable in part.variables}
    for variable in clone.variables:
        if _name(variable) in values:
            variable.assign(values.pop(_name(variable)))
    if values:
        raise RuntimeError(f"weights without a place in the phone network: {', '.join(values)}")
    return clone


def _name(variable):
    """Layer and kind of a variable, e.g. head_large_0/kernel."""
    return "/".join(variable.path.split("/")[-2:])


def _is_rounded(layer, before_relu):
    """Whether a range follows a layer of the original: not between a convolution and its ReLU, not where values only move."""
    if isinstance(layer, layers.Conv2D):
        return not any(layer.output is tensor for tensor in before_relu)
    if layer.name == "sr":
        return False
    kinds = (layers.ReLU, layers.LeakyReLU, layers.Add, layers.Concatenate, DynamicAggregation, ImageNetNormalization)
    return isinstance(layer, kinds)
