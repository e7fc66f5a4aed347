"""Mobile: reference-based super-resolution with everything at the LR photo's resolution.

    lr ----------------------> descriptors \\
                                             matches -> to the pixel -> nine blocks a pixel \\
    ref -> downsampled by 4 -> descriptors /                                                 fusion -> + -> pixel shuffle -> sr
    lr -> single-image branch: features, and a picture of 48 channels ----------------------/---------/

The single-image branch restores the photo alone (`single_image`). Descriptors, five small convolutions, see the LR
photo as it is and the reference downsampled by 4, so that references cost next to nothing; matches of cells are refined
to fractions of pixels by correlation (`subcell`). The reference's high frequencies come as blocks of 4x4 pixels in channels
(`block_aggregation`), and a small network adds to the branch's picture what they tell. Pixels of the result appear in
the last step.

Shapes: lr [B,h,w,3], ref [B,H,W,3], sr [B,4h,4w,3]; RGB in [0, 1]; h, w >= 3 and H, W >= 12, any two sizes. Of several
references each pixel takes the one that correlates best. Each reference is searched in several sizes, as if its copies
were further references, because descriptors and correlation find what is shown at about the same size; in sizes between
these, correlation alone looks where the best of them was found.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
from keras import layers, ops

from c2m_tf.network import FEATURE_STRIDE, REFERENCE_SCALES, REFINED_SCALES, subcell
from c2m_tf.network.base import ReferenceModel
from c2m_tf.network.block_aggregation import CHANNELS, TAPS, aggregate_blocks, joined, sizes_of
from c2m_tf.network.levels import match_by_levels
from c2m_tf.network.single_image import BLOCKS, WIDTH, PixelsOfChannels, UnitLength, single_image_network
from c2m_tf.network.tensors import Tensor, edge_padded, shared
from c2m_tf.network.upsampling import resized

_SLOPE = 0.1  # of the fusion's leaky activations
_TRUST_SIDE = 9  # LR pixels
_refine = shared(subcell.refine)
_PICTURE = 3 * FEATURE_STRIDE**2  # channels of a picture whose 4x4 blocks are channels


class Matches(NamedTuple):
    """Where the references show each pixel of an LR photo.

    Attributes:
        displacement: float32 [B,h,w,2], (dy, dx): the 4x4 block of the pixel at (y, x) starts at (4y + dy, 4x + dx) in
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
        refined_scales: further sizes, in which matches found in those are only refined.
        trusted: mean correlations around a pixel up to which nothing of what the fusion adds is added, and from which on all.
        branch_blocks, branch_width: blocks of the single-image branch, and their channels, even.
        dtype: "float32" or "mixed_bfloat16", of descriptors and fusion. The rest is float32 in both: matching for the sake of
            positions, the single-image branch because it moves more than it computes (bfloat16 makes it slower on CPUs).
        parts: networks in place of new ones, as the property of this name gives them.

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
        reference_scales: Sequence[float] = REFERENCE_SCALES,
        refined_scales: Sequence[float] = REFINED_SCALES,
        trusted: Sequence[float] = (0.5, 0.8),
        branch_blocks: int = BLOCKS,
        branch_width: int = WIDTH,
        name: str = "mobile",
        parts: dict[str, keras.Model] | None = None,
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
        if min(refined_scales, default=1.0) <= 0.0:
            raise ValueError(f"refined_scales {tuple(refined_scales)} are not positive")
        if len(trusted) != 2 or not trusted[0] < trusted[1]:
            raise ValueError(f"trusted {tuple(trusted)} are no two correlations, the lower one first")
        searched, refined, bounds = (
            tuple(float(value) for value in values) for values in (reference_scales, refined_scales, trusted)
        )
        branch = {"branch_blocks": branch_blocks, "branch_width": branch_width}
        others = {"reference_scales": searched, "refined_scales": refined, "trusted": bounds}
        super().__init__({**sizes, **others, **branch}, name=name, **kwargs)
        self.reference_scales, self.refined_scales, self.trusted = searched, refined, bounds
        dtype = self.dtype_policy
        parts = parts or {
            "branch": single_image_network(branch_blocks, branch_width, "branch", "float32"),
            "descriptors": descriptor_network(descriptor_width, descriptor_layers, "descriptors", dtype),
            "fusion": fusion_network(entry_width, fusion_width, fusion_blocks, branch_width, "fusion", dtype),
        }
        self.branch, self.descriptors, self.fusion = (parts[part] for part in ("branch", "descriptors", "fusion"))
        picture = self.branch.get_layer("to_img_0")
        self.branch_features = keras.Model(self.branch.inputs, [picture.input, picture.output], name="branch_features")
        self.to_pixels = PixelsOfChannels(name="sr", dtype="float32")
        self.built = True

    variant = "mobile"

    @property
    def parts(self) -> dict[str, keras.Model]:
        """The networks that hold weights, by name."""
        return {"branch": self.branch, "descriptors": self.descriptors, "fusion": self.fusion}

    @property
    def scales(self) -> tuple[float, ...]:
        """Sizes of the copies of each reference, as `encode_reference` makes them."""
        return self.reference_scales + self.refined_scales

    def call(self, inputs: dict[str, Any], training: bool = False) -> Tensor:
        if "ref" not in inputs:
            return self.branch({"lr": inputs["lr"]}, training=training)
        references = self.encode_reference(inputs["ref"])
        matches = self.find_matches(inputs["lr"], references)
        photos, phases = ([reference[name] for reference in references] for name in ("photo", "phases"))
        both = joined(photos), joined(phases)
        return self.restore(inputs["lr"], matches, both, sizes_of(photos), None, inputs.get("strength"), training=training)

    def encode_reference(self, references: Tensor | Sequence[Tensor]) -> list[dict[str, Tensor]]:
        """Everything that is computed from the references alone; it serves any number of LR photos.

        Args:
            references: [B,H,W,3] in [0, 1], or a list of such, of any sizes.

        Returns:
            For each reference, and of it each of its sizes (`scales`), whose cells are counted in its own pixels: "photo"
            [B,4Y,4X,3], of Y x X cells of 4x4 pixels (a rest of 1 to 3 rows or columns is left out); "phases" [B,Y,X,48] and
            "norms" [B,Y,X,16] (`subcell`); for the sizes that are searched, "descriptors" [B,Y,X,48], unit vectors.
        """
        photos = references if isinstance(references, (list, tuple)) else [references]
        copies = [_encode_copy(resized(photo, scale)) for photo in photos for scale in self.scales]
        for number, copy in enumerate(copies):
            if self.is_searched(number):
                copy["descriptors"] = self.descriptors(subcell.first_phase(copy["phases"]))
        return copies

    def is_searched(self, number: int) -> bool:
        """Whether a copy of all references' is in one of the sizes that are searched."""
        return number % len(self.scales) < len(self.reference_scales)

    def find_matches(self, lr: Tensor, references: Sequence[dict[str, Tensor]]) -> Matches:
        """Where the references show what the LR photo shows: the best cell of each, refined to pixels, and the best of these.

        Args:
            lr: [B,h,w,3] in [0, 1].
            references: result of `encode_reference`.
        """
        described = self.descriptors(ops.cast(lr, "float32"))
        return self.best_matches(described, references, self.match_cells, lambda *near: self.refine(lr, *near))

    def match_cells(self, lr: Tensor, ref: Tensor) -> tuple[Tensor, Tensor]:
        """As of `levels.match_by_levels`."""
        return match_by_levels(lr, ref)

    def best_matches(
        self,
        described: Tensor,
        references: Sequence[dict[str, Any]],
        match_cells: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
        refine: Callable[[dict[str, Any], Tensor], Matches],
    ) -> Matches:
        """`find_matches` of `descriptors` of the LR photo, by `match_cells` and `refine`, or by what runs these."""
        searched, copies = len(self.reference_scales), len(self.scales)
        described = edge_padded(described, 1)

        def refined(number, cells):
            found = refine(references[number], cells)
            return found._replace(number=ops.full(ops.shape(found.score), number, "int32"))

        best = []
        for first in range(0, len(references), copies):
            matched = range(first, first + searched)
            found = [refined(k, match_cells(described, references[k]["descriptors"])[0] + 1) for k in matched]
            own = functools.reduce(better_matches, found)
            for number in range(first + searched, first + copies):
                cells = _cells(self._centres(own, self.scales[number - first]), references[number])
                own = better_matches(own, refined(number, cells))
            best.append(own)
        return functools.reduce(better_matches, best)

    def _centres(self, matches, scale):
        """float32 [B,h,w,2], where the middle of each matched block lies in the same reference's copy of another size."""
        sizes = ops.take(ops.convert_to_tensor(self.scales, "float32"), matches.number % len(self.scales))[..., None]
        first = matches.displacement + ops.cast(_grid(matches.score), "float32")
        return (first + FEATURE_STRIDE / 2) * scale / sizes

    def refine(self, lr: Tensor, reference: dict[str, Tensor], cells: Tensor) -> Matches:
        """Matches in one of the references, whose number is 0: the best pixel in and around cells, int32 [B,h,w,2]."""
        positions, score = _refine(ops.cast(lr, "float32"), reference["phases"], reference["norms"], cells)
        return Matches(positions - ops.cast(_grid(score), "float32"), ops.zeros_like(score, "int32"), score)

    def restore(
        self,
        lr: Tensor,
        matches: Matches,
        references: tuple[Tensor, Tensor],
        sizes: Tensor,
        origin: Tensor | None = None,
        strength: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """SR photo from the LR photo, its matches and the references' pixels; or a tile of it from their tiles.

        Args:
            lr: [B,h,w,3] in [0, 1], the photo or a tile of it.
            matches: result of `find_matches`, or the same part of its arrays.
            references, sizes: those that the matches are counted in (`block_aggregation.aggregate_blocks`).
            origin: int [2], (y, x) of the tile's first pixel in the photo; None for the whole photo.
            strength: float32 [B] in [0, 1]; None for 1.

        Returns:
            float32 [B,4h,4w,3], not clamped to [0, 1].
        """
        lr = ops.cast(lr, "float32")
        taps = ops.stop_gradient(aggregate_blocks(lr, references, sizes, *matches, origin))
        features, picture = self.branch_features({"lr": lr}, training=training)
        added = ops.cast(self._fused(taps, features, picture, training), "float32")
        added = added * self.trust(matches.score)
        if strength is not None:
            added = added * ops.reshape(ops.cast(strength, "float32"), (-1, 1, 1, 1))
        return self.to_pixels(ops.cast(picture, "float32") + added)

    def trust(self, score: Tensor) -> Tensor:
        """How much of what the fusion adds is added, [B,h,w,1] in [0, 1], by the mean correlation around each pixel [B,h,w].

        The fusion sees each match's correlation, but not whether a whole part of the photo is shown nowhere: of an unrelated
        reference this takes the harm, and of others nothing.
        """
        least, most = self.trusted
        return ops.clip((_mean_around(score, _TRUST_SIDE) - least) / (most - least), 0.0, 1.0)

    def _fused(self, taps: Tensor, features: Tensor, picture: Tensor, training: bool) -> Tensor:
        return self.fusion({"taps": taps, "features": features, "picture": picture}, training=training)


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
    taps = keras.Input((None, None, TAPS * CHANNELS), name="taps")
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


def _grid(score):
    """int32 [h,w,2], (y, x) of the first pixel of the result that each pixel of [B,h,w] stands for."""
    height, width = ops.shape(score)[1:3]
    rows, columns = (FEATURE_STRIDE * ops.arange(size, dtype="int32") for size in (height, width))
    return ops.stack(ops.meshgrid(rows, columns, indexing="ij"), axis=-1)


def encode_copy(photo: Tensor) -> dict[str, Tensor]:
    """A reference as it is for refinement and aggregation: "photo", "phases" and "norms" of `Mobile.encode_reference`."""
    height, width = (size // FEATURE_STRIDE * FEATURE_STRIDE for size in ops.shape(photo)[1:3])
    photo = photo[:, :height, :width]
    phases = subcell.phases(subcell.low_pass(photo))
    return {"photo": photo, "phases": phases, "norms": subcell.phase_norms(phases)}


_encode_copy = shared(encode_copy)


def _cells(centres, reference):
    """int32 [B,h,w,2], the cells of a reference that are next to where blocks start whose middle is at float32 [B,h,w,2]."""
    cells = ops.cast(ops.round(centres / FEATURE_STRIDE - 0.5), "int32")
    rows, columns = ops.shape(reference["norms"])[1:3]
    return ops.stack([ops.clip(cells[..., axis], 1, size - 1) for axis, size in enumerate((rows, columns))], axis=-1)


def _mean_around(score: Tensor, side: int) -> Tensor:
    """[B,h,w] -> [B,h,w,1], the mean over side x side pixels, of those that lie inside."""
    return ops.average_pool(score[..., None], side, 1, padding="same", data_format="channels_last")


def better_matches(first: Matches, second: Matches) -> Matches:
    """Of two matches of each pixel the one whose correlation is higher in the mean over 3x3 pixels."""
    taken = _mean_around(second.score, 3) > _mean_around(first.score, 3)  # [B,h,w,1]
    displacement = ops.where(taken, second.displacement, first.displacement)
    number, score = (ops.where(taken[..., 0], new, old) for old, new in zip(first[1:], second[1:], strict=True))
    return Matches(displacement, number, score)
