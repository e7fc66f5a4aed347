"""C2Matching: the whole system as one keras.Model.

    lr -> bicubic 4x -> extractor_lr  \\
                                        matching -> flow \\
    ref -------------> extractor_ref  /                    restoration -> sr
    ref -------------> reference_encoder -----------------/

    lr -> trunk -> sr        without a reference: the restoration network at strength 0, or a network of its own

A model with a trunk of its own shows that network's result also where the reference does not show what the LR photo shows:
both results are blended, pixel by pixel, by the scores of the matches (`blend`).

Shapes: lr [B,h,w,3], ref [B,H,W,3], sr [B,4h,4w,3]; RGB in [0, 1]; h, w >= 3 and H, W >= 12, any two sizes. Several references
are encoded one by one and stacked into one atlas, in which matching picks the best patch of any.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from c2m_tf.network import BLEND_FROM, BLEND_TO, FEATURE_STRIDE
from c2m_tf.network.base import ReferenceModel
from c2m_tf.network.features import STEM_CHANNELS, contrastive_extractor, reference_encoder
from c2m_tf.network.matching import bordered, flow_from_matches, match
from c2m_tf.network.restoration import LEVELS, PUBLISHED, WIDTH, restoration_network, trunk_network, variant_of
from c2m_tf.network.single_image import BLOCKS, single_image_network
from c2m_tf.network.single_image import WIDTH as SINGLE_IMAGE_WIDTH
from c2m_tf.network.tensors import Tensor, larger, round_up
from c2m_tf.network.upsampling import bicubic_upsample, bilinear_upsample

# Cells of nothing between two references of an atlas, so that sampling past the edge of one meets zeros, not the other.
ATLAS_GAP = 4
# Side of a cell in pixels at each level.
_PIXELS_IN_CELL = {"relu3_1": 1, "relu2_1": 2, "relu1_1": 4}


@keras.saving.register_keras_serializable("c2m_tf")
class C2Matching(ReferenceModel):
    """Reference-based 4x super-resolution (Jiang et al., CVPR 2021).

    `C2Matching.full()` and `C2Matching.light()` are the published networks, `C2Matching.from_preset` gives trained ones.
    All arguments are keyword arguments; their defaults are the full network.

    Args:
        content_blocks: residual blocks on the LR photo.
        small_blocks, medium_blocks, large_blocks: residual blocks at 1, 2 and 4 times the LR photo's size.
        width: channels of all of these, even.
        levels: which of the reference's features are aggregated, of "relu3_1", "relu2_1" and "relu1_1", in this order.
        stem_channels: channels of the three stages of the extractors and the reference encoder, multiples of 8.
        residual_offsets: whether aggregations learn them, as published; presets have none (light: 249,120 parameters fewer).
        flow_warping: flow warping in the place of dynamic aggregation, for the paper's ablation.
        own_trunk: whether the model has a trunk of its own (`single_image`; 495,888 parameters more) instead of the restoration
            network at strength 0.
        trunk_blocks, trunk_width: its blocks, and their channels, even.
        parts: the networks by name, as `parts` has them, if they are made elsewhere; None for new ones.
        dtype: "float32" or "mixed_bfloat16"; matching scores and sampling coordinates are float32 in both.

    Raises:
        ValueError: sizes that cannot be (the message names the argument), or Keras's default type is not float32.

    Call arguments:
        inputs: {"lr": [B,h,w,3], "ref": [B,H,W,3] or a list of such}, RGB in [0, 1]; optionally "strength": float32 [B] in
            [0, 1], how much of the reference is used per sample (1 by default; at 0 the result is the trunk's).
            Without "ref", the trunk's result.

    Returns:
        float32 [B,4h,4w,3], not clamped to [0, 1].

    Example:
        model = C2Matching.from_preset("light")
        sr = model.predict({"lr": lr[None], "ref": ref[None]})[0]
    """

    def __init__(
        self,
        *,
        content_blocks: int = 16,
        small_blocks: int = 16,
        medium_blocks: int = 16,
        large_blocks: int = 16,
        width: int = WIDTH,
        levels: Sequence[str] = tuple(LEVELS),
        stem_channels: Sequence[int] = STEM_CHANNELS,
        residual_offsets: bool = True,
        flow_warping: bool = False,
        own_trunk: bool = False,
        trunk_blocks: int = BLOCKS,
        trunk_width: int = SINGLE_IMAGE_WIDTH,
        name: str = "c2_matching",
        parts: dict[str, keras.Model] | None = None,
        **kwargs: Any,
    ) -> None:
        sizes: dict[str, Any] = {
            "content_blocks": content_blocks,
            "small_blocks": small_blocks,
            "medium_blocks": medium_blocks,
            "large_blocks": large_blocks,
            "width": width,
            "levels": tuple(levels),
            "stem_channels": tuple(stem_channels),
            "residual_offsets": residual_offsets,
            "flow_warping": flow_warping,
        }
        trunk = {"own_trunk": own_trunk, "trunk_blocks": trunk_blocks, "trunk_width": trunk_width}
        super().__init__(sizes | trunk, name=name, **kwargs)
        self.levels, self.stem_channels, self.residual_offsets = sizes["levels"], sizes["stem_channels"], residual_offsets
        self.own_trunk = own_trunk
        parts = self._new_parts(sizes, trunk_blocks, trunk_width) if parts is None else parts
        self.extractor_lr, self.extractor_ref = parts["extractor_lr"], parts["extractor_ref"]
        # The best match is a hard choice and passes no gradient on; extractors learn by their own losses.
        self.extractor_lr.trainable = self.extractor_ref.trainable = False
        self.reference_encoder, self.restoration = parts["reference_encoder"], parts["restoration"]
        # Not its own, it shares the layers of `restoration`.
        self.trunk = parts["trunk"] if own_trunk else trunk_network(self.restoration)
        self.built = True

    @classmethod
    def full(cls, **arguments: Any) -> "C2Matching":
        """The published full network (8,865,547 parameters in the restoration network), untrained; others as given."""
        return cls(**PUBLISHED["full"] | arguments)

    @classmethod
    def light(cls, **arguments: Any) -> "C2Matching":
        """The published light network (4,825,395 parameters in the restoration network), untrained; others as given."""
        return cls(**PUBLISHED["light"] | arguments)

    def _new_parts(self, sizes: dict[str, Any], trunk_blocks: int, trunk_width: int) -> dict[str, keras.Model]:
        dtype, channels = self.dtype_policy, self.stem_channels
        restoration = restoration_network(**sizes, name="restoration", dtype=dtype)  # checks all sizes
        return {
            "extractor_lr": contrastive_extractor("extractor_lr", dtype, channels),
            "extractor_ref": contrastive_extractor("extractor_ref", dtype, channels),
            "reference_encoder": reference_encoder(self.levels, "reference_encoder", dtype, channels),
            "restoration": restoration,
            **({"trunk": single_image_network(trunk_blocks, trunk_width, "trunk", dtype)} if self.own_trunk else {}),
        }

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The networks that hold weights, by name."""
        names = ("extractor_lr", "extractor_ref", "reference_encoder", "restoration", *(("trunk",) if self.own_trunk else ()))
        return {name: getattr(self, name) for name in names}

    @property
    def variant(self) -> str:
        """Which published network has these sizes, "full" or "light", with residual offsets or without; else "custom"."""
        return variant_of(self.arguments)

    def call(self, inputs: dict[str, Any], training: bool = False) -> Tensor:
        if "ref" not in inputs:
            return self.trunk({"lr": inputs["lr"]}, training=training)
        return self.searched(inputs, training)["sr"]

    def searched(self, inputs: dict[str, Any], training: bool = False) -> dict[str, Tensor]:
        """What a call with a reference gives, as "sr", and what was found for it: "flow" and "score", see `find_flow`.

        Inputs may hold "alone", the result of a trunk of its own, where that is known.
        """
        reference = self.encode_reference(inputs["ref"])
        flow, score = self.find_flow(inputs["lr"], reference)
        around = around_pixels(score)
        strength, alone = inputs.get("strength"), inputs.get("alone")
        sr = self.restore(inputs["lr"], flow, reference, None, strength, around, alone, training=training)
        return {"sr": sr, "flow": flow, "score": score}

    def encode_reference(self, references: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """Everything that is computed from the reference alone; it serves any number of LR photos.

        Args:
            references: [B,H,W,3] in [0, 1], or a list of such, of any sizes.

        Returns:
            Dict of tensors over the atlas's grid of Y x X cells: "matching" [B,Y,X,256], "candidates" [Y,X] (1 where a
            cell shows a reference), "relu1_1" [B,4Y,4X,64], "relu2_1" [B,2Y,2X,128] and "relu3_1" [B,Y,X,256],
            those of `levels`.
        """
        if not isinstance(references, (list, tuple)):
            return self._encode_one(references)
        encoded = [self._encode_one(reference) for reference in references]
        return encoded[0] if len(encoded) == 1 else atlas(encoded)

    def describe(self, lr: Tensor) -> Tensor:
        """What is matched of an LR photo [B,h,w,3] in [0, 1]: features [B,h,w,256]."""
        return self.extractor_lr(bicubic_upsample(lr))

    def find_flow(self, lr: Tensor, reference: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Where the reference shows what the LR photo shows.

        Args:
            lr: [B,h,w,3] in [0, 1].
            reference: result of `encode_reference`.

        Returns:
            flow: float32 [B,h,w,2], (dy, dx) in cells of the atlas (`matching.flow_from_matches`).
            score: float32 [B,h-2,w-2], mean cosine of the matched patches.
        """
        matches, score = match(self.describe(lr), reference["matching"], reference["candidates"])
        return flow_from_matches(matches), score

    def restore(
        self,
        lr: Tensor,
        flow: Tensor,
        reference: dict[str, Tensor],
        origin: Tensor | None = None,
        strength: Tensor | None = None,
        score: Tensor | None = None,
        alone: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """SR photo from the LR photo, the flow and the encoded reference; or a tile of it from their tiles.

        Args:
            lr: [B,h,w,3] in [0, 1], the photo or a tile of it.
            flow: float32 [B,h,w,2], the photo's flow; or [B,h+2,w+2,2], the tile's, with the two rows above it and the two
                columns left of it, zeros outside the photo.
            reference: result of `encode_reference`.
            origin: int [2], (y, x) of the tile's first pixel in the photo; None for the whole photo.
            strength: float32 [B] in [0, 1], how much of the reference is used; None for 1.
            score: float32 [B,h,w], of the patch around each pixel (`around_pixels`), by which a model with a trunk of its own
                blends its result in (`blend`); None for the restoration network's result alone.
            alone: [B,4h,4w,3], that trunk's result where it is known; None to compute it.

        Returns:
            [B,4h,4w,3], not clamped to [0, 1].
        """
        blends = self.own_trunk and score is not None
        flow = ops.convert_to_tensor(flow)
        # Displacements of a tile are counted from its own pixels.
        flow = bordered(flow) if origin is None else flow + ops.cast(origin, "float32")
        inputs = {"lr": ops.convert_to_tensor(lr), "flow": flow}
        whole = strength is None or blends
        inputs["strength"] = ops.ones(ops.shape(flow)[:1]) if whole else ops.convert_to_tensor(strength, "float32")
        height, width = ops.shape(inputs["lr"])[1:3]
        for level in self.levels:
            feature = inputs[level] = ops.convert_to_tensor(reference[level])
            scale = _PIXELS_IN_CELL[level]
            start = None if origin is None else (scale * origin[0], scale * origin[1])
            inputs[f"context_{level}"] = _context(feature, start, scale * height, scale * width)
        sr = self.restoration(inputs, training=training)
        return self.blend(sr, lr, score, strength, alone, training=training) if blends else sr

    def blend(
        self,
        sr: Tensor,
        lr: Tensor,
        score: Tensor,
        strength: Tensor | None = None,
        alone: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """The trunk's result where the reference does not fit, the given one where it does, and mixtures between.

        Args:
            sr: [B,4h,4w,3], the restoration network's result at full strength.
            lr: [B,h,w,3] in [0, 1].
            score: float32 [B,h,w], of the patch around each pixel (`around_pixels`).
            strength: float32 [B] in [0, 1], how much of the reference is used; None for 1.
            alone: [B,4h,4w,3], the trunk's result where it is known; None to compute it.

        Returns:
            float32 [B,4h,4w,3], not clamped to [0, 1].
        """
        alone = self.trunk({"lr": lr}, training=training) if alone is None else ops.convert_to_tensor(alone)
        weight = ops.clip((ops.convert_to_tensor(score) - BLEND_FROM) / (BLEND_TO - BLEND_FROM), 0.0, 1.0)[..., None]
        if strength is not None:
            weight = weight * ops.reshape(ops.convert_to_tensor(strength, "float32"), (-1, 1, 1, 1))
        return alone + bilinear_upsample(weight) * (sr - alone)

    def _encode_one(self, reference: Tensor) -> dict[str, Tensor]:
        rows, columns = (size // FEATURE_STRIDE for size in ops.shape(reference)[1:3])
        padded = _pad_to_cells(reference)
        activations = self.reference_encoder(padded)
        matching = self.extractor_ref(padded)
        all_rows, all_columns = ops.shape(matching)[1:3]
        # A cell that is partly padding shows something that is not there.
        candidates = (ops.arange(all_rows) < rows)[:, None] & (ops.arange(all_columns) < columns)
        encoded = {"matching": matching, "candidates": ops.cast(candidates, "float32")}
        return encoded | activations

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "C2Matching":
        if "variant" in config:  # files of older versions
            variant = config["variant"]
            sizes = {} if variant != "light-integer" else {"residual_offsets": False}
            others = {name: value for name, value in config.items() if name != "variant"}
            config = PUBLISHED["light" if sizes else variant] | sizes | others
        return super().from_config(config, custom_objects)


def around_pixels(score: Tensor) -> Tensor:
    """Scores of patches [B,h-2,w-2] -> of the patch around each pixel [B,h,w]; pixels at the edge have their neighbour's."""
    for axis in (1, 2):
        patches = ops.shape(score)[axis]
        score = ops.take(score, ops.clip(ops.arange(-1, patches + 1), 0, patches - 1), axis=axis)
    return score


def _pad_to_cells(reference: Tensor) -> Tensor:
    """Repeats the last row and column until height and width are multiples of 4."""
    for axis in (1, 2):
        size = ops.shape(reference)[axis]
        padded = ops.minimum(ops.arange(round_up(size, FEATURE_STRIDE)), size - 1)
        reference = ops.take(reference, padded, axis=axis)
    return reference


def _context(feature: Tensor, start: Any, height: Any, width: Any) -> Tensor:
    """The part of a reference's feature of that start (y, x) and size, zeros where the feature ends before."""
    rows, columns = ops.shape(feature)[1:3]
    if start is None:
        cropped = feature[:, :height, :width]
        rows, columns = ops.shape(cropped)[1:3]
        return ops.pad(cropped, [[0, 0], [0, height - rows], [0, width - columns], [0, 0]])
    for axis, first, size, end in ((1, start[0], height, rows), (2, start[1], width, columns)):
        positions = first + ops.arange(size)
        inside = ops.cast(positions < end, feature.dtype)
        inside = ops.reshape(inside, (1, size, 1, 1) if axis == 1 else (1, 1, size, 1))
        feature = ops.take(feature, ops.minimum(positions, end - 1), axis=axis) * inside
    return feature


def atlas(encoded: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Encoded references as one: stacked along y, `ATLAS_GAP` cells between, to the width of the widest.

    Args:
        encoded: results of `C2Matching.encode_reference`, each for one reference.

    Returns:
        Dict of the same names.
    """
    columns = ops.shape(encoded[0]["candidates"])[1]
    for reference in encoded[1:]:
        columns = larger(columns, ops.shape(reference["candidates"])[1])
    scales = _PIXELS_IN_CELL | {"matching": 1}
    atlas = {}
    for name in encoded[0]:
        pieces = []
        for position, reference in enumerate(encoded):
            gap = ATLAS_GAP if position < len(encoded) - 1 else 0
            piece = reference[name]
            if name == "candidates":
                pieces.append(ops.pad(piece, [[0, gap], [0, columns - ops.shape(piece)[1]]]))
            else:
                right = scales[name] * columns - ops.shape(piece)[2]
                pieces.append(ops.pad(piece, [[0, 0], [0, scales[name] * gap], [0, right], [0, 0]]))
        atlas[name] = ops.concatenate(pieces, axis=0 if name == "candidates" else 1)
    return atlas
