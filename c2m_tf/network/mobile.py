"""Mobile: reference-based super-resolution with everything at the LR photo's resolution.

    lr ----------------------> descriptors \\
                                             matches -> to the pixel -> nine blocks a pixel \\
    ref -> downsampled by 4 -> descriptors /                                                 fusion -> + -> pixel shuffle -> sr
    lr -> single-image branch: features, and a picture of 48 channels ----------------------/---------/

The single-image branch restores the photo alone (`single_image`). Descriptors, five small convolutions, see the LR
photo as it is and the reference downsampled by 4, so that references cost next to nothing; matches of cells are refined
to pixels by correlation (`subcell`). The reference's high frequencies come as blocks of 4x4 pixels in channels
(`block_aggregation`), and a small network adds to the branch's picture what they tell. Pixels of the result appear in
the last step.

Shapes: lr [B,h,w,3], ref [B,H,W,3], sr [B,4h,4w,3]; RGB in [0, 1]; h, w >= 3 and H, W >= 12, any two sizes. Of several
references each pixel takes the one that correlates best. Each reference is searched in several sizes, as if its copies
were further references, because descriptors and correlation find what is shown at about the same size.
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from c2m_tf.network import block_aggregation, subcell
from c2m_tf.network.base import ReferenceModel
from c2m_tf.network.grid import FEATURE_STRIDE
from c2m_tf.network.levels import match_by_levels
from c2m_tf.network.padding import edge_padded
from c2m_tf.network.resizing import resized
from c2m_tf.network.single_image import BLOCKS, WIDTH, PixelsOfChannels, UnitLength, single_image_network
from c2m_tf.network.tensors import Tensor
from c2m_tf.network.upsampling import bicubic_upsample_floats

_SLOPE = 0.1  # of the fusion's leaky activations
_PICTURE = 3 * FEATURE_STRIDE**2  # channels of a picture whose 4x4 blocks are channels


class Matches(NamedTuple):
    """Where the references show each pixel of an LR photo.

    Attributes:
        displacement: int32 [B,h,w,2], (dy, dx): the 4x4 block of the pixel at (y, x) starts at (4y + dy, 4x + dx) in
            its reference.
        number: int32 [B,h,w], of the reference.
        score: float32 [B,h,w], normalised correlation of 5x5 LR pixels, in [-1, 1].
    """

    displacement: Tensor
    number: Tensor
    score: Tensor


@keras.saving.register_keras_serializable("c2m_tf")
class Mobile(ReferenceModel):
    """Reference-based 4x super-resolution at the LR photo's resolution.

    Args:
        descriptor_width: channels of the descriptors' convolutions, and numbers that describe a cell.
        descriptor_layers: 3x3 convolutions of the descriptors.
        entry_width: channels that the nine predictions are brought to, by a 1x1 convolution.
        fusion_width: channels of the fusion.
        fusion_blocks: its residual blocks.
        reference_scales: sizes in which each reference is searched, relative to its own.
        branch_blocks, branch_width: blocks of the single-image branch, and their channels, even.
        dtype: "float32" or "mixed_bfloat16"; matching, positions and the sum with the branch's picture are float32 in both.

    Raises:
        ValueError: sizes that cannot be (the message names the argument), or Keras's default type is not float32.

    Call arguments:
        inputs: {"lr": [B,h,w,3], "ref": [B,H,W,3] or a list of such}, RGB in [0, 1]; optionally "strength": float32 [B]
            in [0, 1], how much of what the reference adds is added (1 by default). Without "ref", the result of the
            single-image branch.

    Returns:
        float32 [B,4h,4w,3], not clamped to [0, 1].
    """

    def __init__(
        self,
        descriptor_width: int = 48,
        descriptor_layers: int = 5,
        entry_width: int = 96,
        fusion_width: int = 64,
        fusion_blocks: int = 6,
        reference_scales: Sequence[float] = (1.0, 0.84, 0.92, 1.09, 1.19),
        branch_blocks: int = BLOCKS,
        branch_width: int = WIDTH,
        name: str = "mobile",
        **kwargs: Any,
    ) -> None:
        sizes = {
            "descriptor_width": descriptor_width,
            "descriptor_layers": descriptor_layers,
            "entry_width": entry_width,
            "fusion_width": fusion_width,
            "fusion_blocks": fusion_blocks,
        }
        for size, value in sizes.items():
            if value < 1:
                raise ValueError(f"{size} {value} is not positive")
        if not reference_scales or min(reference_scales) <= 0.0:
            raise ValueError(
                f"reference_scales {tuple(reference_scales)} are not positive; (1.0,) searches references as they are"
            )
        scales = tuple(float(scale) for scale in reference_scales)
        branch = {"branch_blocks": branch_blocks, "branch_width": branch_width}
        super().__init__({**sizes, "reference_scales": scales, **branch}, name=name, **kwargs)
        self.reference_scales = scales
        dtype = self.dtype_policy
        self.branch = single_image_network(branch_blocks, branch_width, "branch", dtype)
        picture = self.branch.get_layer("to_img_0")
        self.branch_features = keras.Model(self.branch.inputs, [picture.input, picture.output], name="branch_features")
        self.descriptors = descriptor_network(descriptor_width, descriptor_layers, "descriptors", dtype)
        self.fusion = fusion_network(entry_width, fusion_width, fusion_blocks, branch_width, "fusion", dtype)
        self.to_pixels = PixelsOfChannels(name="sr", dtype="float32")
        self.built = True

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The networks that hold weights, by name."""
        return {"branch": self.branch, "descriptors": self.descriptors, "fusion": self.fusion}

    def call(self, inputs: dict[str, Any], training: bool = False) -> Tensor:
        if "ref" not in inputs:
            return self.branch({"lr": inputs["lr"]}, training=training)
        references = self.encode_reference(inputs["ref"])
        matches = self.find_matches(inputs["lr"], references)
        rows, sizes = block_aggregation.joined_rows([reference["rows"] for reference in references])
        return self.restore(inputs["lr"], matches, rows, sizes, None, inputs.get("strength"), training=training)

    def encode_reference(self, references: Tensor | Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Everything that is computed from the references alone; it serves any number of LR photos.

        Args:
            references: [B,H,W,3] in [0, 1], or a list of such, of any sizes.

        Returns:
            For each reference, and of it each of its sizes (`reference_scales`), whose cells are counted in its own pixels:
            "descriptors" [B,Y,X,48], unit vectors of its Y x X cells of 4x4 pixels (a rest of 1 to 3 rows or columns is
            left out); "phases" [B,Y,X,48], "norms" [B,Y,X,16] (`subcell`); "rows" [B,4Y,4X,15]
            (`block_aggregation.block_rows`).
        """
        photos = references if isinstance(references, (list, tuple)) else [references]
        return [self._encode_one(resized(photo, scale)) for photo in photos for scale in self.reference_scales]

    def _encode_one(self, photo):
        height, width = (size // FEATURE_STRIDE * FEATURE_STRIDE for size in ops.shape(photo)[1:3])
        photo = photo[:, :height, :width]
        phases = subcell.phases(subcell.low_pass(photo))
        small = subcell.first_phase(phases)
        return {
            "descriptors": self.descriptors(small),
            "phases": phases,
            "norms": subcell.phase_norms(phases),
            "rows": block_aggregation.block_rows(photo, photo - bicubic_upsample_floats(small)),
        }

    def find_matches(self, lr: Tensor, references: Sequence[dict[str, Tensor]]) -> Matches:
        """Where the references show what the LR photo shows: the best cell of each, refined to pixels, and the best of these.

        Args:
            lr: [B,h,w,3] in [0, 1].
            references: result of `encode_reference`.
        """
        lr = ops.cast(lr, "float32")
        described = edge_padded(self.descriptors(lr), 1)
        height, width = ops.shape(lr)[1:3]
        grid = FEATURE_STRIDE * ops.stack(ops.meshgrid(ops.arange(height), ops.arange(width), indexing="ij"), axis=-1)
        found: list[Matches] = []
        for number, reference in enumerate(references):
            cells, _ = match_by_levels(described, reference["descriptors"])
            positions, score = subcell.refine(lr, reference["phases"], reference["norms"], cells + 1)
            displacement = positions - ops.cast(grid, "int32")[None]
            found.append(Matches(displacement, ops.full(ops.shape(score), number, "int32"), score))
        return functools.reduce(better_matches, found)

    def restore(
        self,
        lr: Tensor,
        matches: Matches,
        rows: Tensor,
        sizes: Tensor,
        origin: Tensor | None = None,
        strength: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """SR photo from the LR photo, its matches and the references' rows; or a tile of it from their tiles.

        Args:
            lr: [B,h,w,3] in [0, 1], the photo or a tile of it.
            matches: result of `find_matches`, or the same part of its arrays.
            rows, sizes: of the references that the matches are counted in (`block_aggregation.joined_rows`).
            origin: int [2], (y, x) of the tile's first pixel in the photo; None for the whole photo.
            strength: float32 [B] in [0, 1]; None for 1.

        Returns:
            float32 [B,4h,4w,3], not clamped to [0, 1].
        """
        lr = ops.cast(lr, "float32")
        taps = ops.stop_gradient(block_aggregation.aggregate_blocks(lr, rows, sizes, *matches, origin))
        features, picture = self.branch_features({"lr": lr}, training=training)
        added = self.fusion({"taps": taps, "features": features, "picture": picture}, training=training)
        added = ops.cast(added, "float32")
        if strength is not None:
            added = added * ops.reshape(ops.cast(strength, "float32"), (-1, 1, 1, 1))
        return self.to_pixels(ops.cast(picture, "float32") + added)


def descriptor_network(width: int = 48, convolutions: int = 5, name: str = "descriptors", dtype: Any = None) -> keras.Model:
    """Describes each pixel of a small photo by a unit vector, for matching.

    Args:
        width: channels, and numbers per pixel.
        convolutions: 3x3 convolutions; a ReLU follows all but the last.
        name: name of the model.
        dtype: dtype policy of the layers.

    Returns:
        keras.Model: photo [B,h,w,3] in [0, 1] -> [B,h,w,width]. 84,480 parameters by default.
    """
    photo = keras.Input((None, None, 3), name="photo")
    with keras.name_scope(name):
        features = layers.Rescaling(4.0, -1.8, name="rescaling", dtype=dtype)(photo)
        for number in range(convolutions):
            activation = "relu" if number < convolutions - 1 else None
            features = _convolution(features, width, 3, f"conv_{number}", dtype, activation)
        features = UnitLength(name="unit", dtype=dtype)(features)
    return keras.Model(photo, features, name=name)


def fusion_network(
    entry: int = 96, width: int = 64, blocks: int = 6, branch_width: int = WIDTH, name: str = "fusion", dtype: Any = None
) -> keras.Model:
    """What nine predictions of each block add to the single-image branch's picture; nothing, before it is trained.

    Args:
        entry: channels that the predictions are brought to.
        width: channels of the residual blocks.
        blocks: residual blocks of two 3x3 convolutions.
        branch_width: channels of the single-image branch.
        name: name of the model.
        dtype: dtype policy of the layers.

    Returns:
        keras.Model: {"taps": [B,h,w,468] (`block_aggregation.aggregate_blocks`), "features": [B,h,w,branch_width] and
        "picture": [B,h,w,48] of the branch} -> [B,h,w,48]. 626,512 parameters by default.
    """
    taps = keras.Input((None, None, block_aggregation.TAPS * block_aggregation.CHANNELS), name="taps")
    features = keras.Input((None, None, branch_width), name="features")
    picture = keras.Input((None, None, _PICTURE), name="picture")
    with keras.name_scope(name):
        entered = _leaky(_convolution(taps, entry, 1, "enter", dtype), "enter_leaky", dtype)
        joined = layers.Concatenate(name="joined", dtype=dtype)([entered, features, picture])
        fused = _leaky(_convolution(joined, width, 3, "mix", dtype), "mix_leaky", dtype)
        for block in range(blocks):
            inner = _convolution(fused, width, 3, f"body_{block}_0", dtype, "relu")
            inner = _convolution(inner, width, 3, f"body_{block}_1", dtype)
            fused = layers.Add(name=f"body_{block}_add", dtype=dtype)([fused, inner])
        added = _convolution(fused, _PICTURE, 3, "out", dtype, kernel_initializer="zeros")
    return keras.Model({"taps": taps, "features": features, "picture": picture}, added, name=name)


def _convolution(features, filters, size, name, dtype, activation=None, **options):
    options |= {"padding": "same", "data_format": "channels_last", "activation": activation, "name": name, "dtype": dtype}
    return layers.Conv2D(filters, size, **options)(features)


def _leaky(features, name, dtype):
    return layers.LeakyReLU(_SLOPE, name=name, dtype=dtype)(features)


def better_matches(first: Matches, second: Matches) -> Matches:
    """Of two matches of each pixel the one whose correlation is higher in the mean over 3x3 pixels."""
    options = {"padding": "same", "data_format": "channels_last"}
    smooth = [ops.average_pool(found.score[..., None], 3, 1, **options) for found in (first, second)]
    taken = smooth[1] > smooth[0]  # [B,h,w,1]
    displacement = ops.where(taken, second.displacement, first.displacement)
    number, score = (ops.where(taken[..., 0], new, old) for old, new in zip(first[1:], second[1:], strict=True))
    return Matches(displacement, number, score)
