"""Pairs made from single photos: layers cut out of photos, at several depths, seen by two cameras.

The photo shows each layer as it is in its own photo, cut straight out and so as sharp; its reference shows the same layers
from collections.abc import Sequence
from another place, so that they shift against each other, hide each other, turn and change size. Some layers are moved between
both, or in one of them alone. Every pixel's true correspondence is known. This is to homographies what FlyingChairs
(Dosovitskiy et al., ICCV 2015) was to optical flow.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from .augmentation import LR_CENTRES, PHOTO_SIDE
from .sources import Photos, photos_without
from .views import CELL, NODES, Views, interpolated

LAYERS = 6  # at most, with the background

_LAYERS_BEFORE = 0.4  # probability of each layer before the background; three layers in the mean
_LONG_SIDE = 1600  # pixels; larger photos are reduced to it, because single pixels of theirs are soft
_MOST_REDUCED = 2.0  # half of the photos are reduced, by up to this
_WINDOWS = 2  # drawn of a photo, of which the one with more detail is taken: skies and blurred backgrounds teach little
_IN_ONE_VIEW = 0.15  # share of the layers before the background that only one of the photos shows
_OTHER_BACKGROUND = 0.05  # share of pairs whose objects stand before another background in the reference
_AREA = 0.08, 0.45  # share of the photo that a layer covers, before nearer ones hide it
_SEGMENTS = 0.5  # share of the layers with the shape of a colour segment of their photo

# Shapes are functions on a coarse grid around the photo's window, positive on the layer.
_SHAPE_CELL = 8
_SHAPE_MARGIN = PHOTO_SIDE  # pixels around the window
_SHAPE_NODES = (PHOTO_SIDE + 2 * _SHAPE_MARGIN) // _SHAPE_CELL + 1
_IN_WINDOW = slice(_SHAPE_MARGIN // _SHAPE_CELL, (_SHAPE_MARGIN + PHOTO_SIDE) // _SHAPE_CELL + 1)
_NOISE_NODES = 6, 14  # random numbers along each axis that a smooth shape is interpolated from
_NOISE_IN_SEGMENTS = 0.5

_TOO_FINE = 1.25  # pixels of a photo per pixel of the reference, beyond which it is reduced first, against aliasing


class Texture(NamedTuple):
    """A window of a photo, 160x160 pixels after reduction.

    Attributes:
        photo: uint8 [H,W,3].
        corner: (x, y) of the window's corner in the photo.
        step: pixels of the photo per pixel of the window, at least 1.
    """

    photo: np.ndarray
    corner: np.ndarray
    step: float


class Scene(NamedTuple):
    """What a pair shows.

    Attributes:
        photo, reference: uint8 [160,160,3].
        views: warps between them.
        labels, reference_labels: int [160,160], the layer that each pixel shows.
        related: bool [layers], False for layers that the reference does not show.
    """

    photo: np.ndarray
    reference: np.ndarray
    views: Views
    labels: np.ndarray
    reference_labels: np.ndarray
    related: np.ndarray


class LayeredPairs:
    """Pairs made from the photos of a folder.

    Args:
        folder: photos of at least 160x160 pixels.
        held_back: number of photos, the last by name, that are not drawn.

    Raises:
        SourceError: no folder, no photo left, damaged or too small photos.
    """

    def __init__(self, folder: str | os.PathLike, held_back: int = 0) -> None:
        self.photos = Photos(photos_without(folder, held_back)[0])

    def pair(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray]:
        """A photo and its reference, uint8 [160,160,3] each."""
        scene = self._draw(random)
        return scene.photo, scene.reference

    def correspondence(self, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A photo, its reference and where in the reference each pixel of the LR photo lies.

        The centre of LR pixel (i, j) is at (4j + 1.5, 4i + 1.5) in the photo; pixel centres count from 0.

        Args:
            random: what is drawn depends on its state alone; the pair is that of `pair`.

        Returns:
            photo, reference: uint8 [160,160,3].
            positions: float32 [40,40,2], (x, y) of the centre of each LR pixel; NaN where the reference does not show it.
        """
        scene = self._draw(random)
        return scene.photo, scene.reference, _true_positions(scene)

    def window(self, random: np.random.RandomState) -> tuple[np.ndarray, tuple[int, int]]:
        """A photo and the origin (y, x) of a 160x160 window in it."""
        photo = self.photos[random.randint(len(self.photos))]
        return photo, (random.randint(photo.shape[0] - PHOTO_SIDE + 1), random.randint(photo.shape[1] - PHOTO_SIDE + 1))

    def _draw(self, random: np.random.RandomState) -> Scene:
        count = 1 + random.binomial(LAYERS - 1, _LAYERS_BEFORE)
        views = Views(random, count)
        textures = [self._texture(random, views.scale) for _ in range(count)]
        shapes = [_shape(random, texture) for texture in textures[1:]]
        alone = random.random_sample(count) < _IN_ONE_VIEW
        in_photo = ~alone | (random.random_sample(count) < 0.5)
        in_reference = ~alone | ~in_photo
        in_photo[0] = in_reference[0] = True
        photo, labels = _photo(textures, shapes, in_photo)
        if count > 1 and random.random_sample() < _OTHER_BACKGROUND:
            textures[0] = self._texture(random, views.scale)
            in_reference[0] = False
        reference, reference_labels = _reference(textures, shapes, in_reference, views)
        return Scene(photo, reference, views, labels, reference_labels, in_photo & in_reference)

    def _texture(self, random: np.random.RandomState, scale: float) -> Texture:
        photo = self.photos[random.randint(len(self.photos))]
        height, width = photo.shape[:2]
        largest = min(height, width) / PHOTO_SIDE
        least = min(max(1.0, max(height, width) / _LONG_SIDE), largest)
        # What the reference shows larger should be as sharp there, so the photo is reduced for the view that is farther away.
        step = least * max(1.0, scale, min(1.0, scale) * _MOST_REDUCED ** random.uniform(-1.0, 1.0))
        step = min(step, largest)
        free = np.array([width, height]) - PHOTO_SIDE * step
        corners = random.random_sample((_WINDOWS, 2)) * free
        corner = max(corners, key=lambda corner: _detail(photo, corner, PHOTO_SIDE * step))
        if step == 1.0:
            corner = np.floor(corner)
        return Texture(photo, corner, step)


def _detail(photo: np.ndarray, corner: np.ndarray, side: float) -> float:
    """Mean difference between neighbouring pixels of a window, of every fourth row."""
    x, y = corner.astype(int)
    rows = photo[y : y + int(side) : 4, x : x + int(side), 1].astype(np.int16)
    return np.abs(np.diff(rows, axis=1)).mean()


def _shape(random: np.random.RandomState, texture: Texture) -> Any:
    """A function on the coarse grid, float32 [61,61]: positive on the layer, negative around it."""
    nodes = random.randint(_NOISE_NODES[0], _NOISE_NODES[1] + 1)
    noise = random.standard_normal((nodes, nodes)).astype(np.float32)
    size = (_SHAPE_NODES, _SHAPE_NODES)
    values = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    if random.random_sample() < _SEGMENTS:
        colours = _colours(texture)
        seed = colours[_IN_WINDOW, _IN_WINDOW][tuple(random.randint(0, 21, 2))]
        distance = np.abs(colours - seed).sum(axis=-1)
        values = _NOISE_IN_SEGMENTS * values - distance / (distance.std() + 1.0)
    area = random.uniform(*_AREA)
    return np.float32(values - np.quantile(values[_IN_WINDOW, _IN_WINDOW], 1.0 - area))


def _colours(texture: Texture) -> np.ndarray:
    """Of the photo around the window on the coarse grid, float32 [61,61,3]."""
    positions = np.arange(2 * _SHAPE_NODES) * (_SHAPE_CELL / 2) - _SHAPE_MARGIN - _SHAPE_CELL / 4
    columns, rows = (
        _mirrored(np.int64(texture.corner[axis] + texture.step * positions), texture.photo.shape[1 - axis]) for axis in range(2)
    )
    samples = texture.photo[rows[:, None], columns].astype(np.float32)
    return samples.reshape(_SHAPE_NODES, 2, _SHAPE_NODES, 2, 3).mean(axis=(1, 3))


def _photo(textures: Sequence[Texture], shapes: Sequence[np.ndarray], shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The photo and its labels: windows as they are, the nearest on top."""
    photo = _window(textures[0])
    labels = np.zeros((PHOTO_SIDE, PHOTO_SIDE), int)
    for layer, shape in enumerate(shapes, start=1):
        if shown[layer]:
            opacity = _opacity(interpolated(shape, _IN_WINDOW.start, _IN_WINDOW.stop - 1))
            photo = _over(_window(textures[layer]), photo, opacity)
            labels[opacity > 0.5] = layer
    return photo, labels


def _reference(
    textures: Sequence[Texture], shapes: Sequence[np.ndarray], shown: np.ndarray, views: Views
) -> tuple[np.ndarray, np.ndarray]:
    """The reference and its labels."""
    opacities = {}
    labels = np.zeros((PHOTO_SIDE, PHOTO_SIDE), int)
    for layer, shape in enumerate(shapes, start=1):
        if shown[layer]:
            x, y = np.moveaxis((views.field(layer) + _SHAPE_MARGIN) / _SHAPE_CELL, -1, 0)
            opacities[layer] = _opacity(ndimage.map_coordinates(shape, [y, x], order=1, mode="nearest"))
            labels[opacities[layer] > 0.5] = layer
    needed = np.ones((PHOTO_SIDE, PHOTO_SIDE), bool)
    wanted = {}
    for layer in sorted(opacities, reverse=True):
        wanted[layer] = needed & (opacities[layer] > 0.0)
        needed &= opacities[layer] < 1.0
    reference = _warped(textures[0], views.meshes[0], needed)
    for layer, opacity in opacities.items():
        reference = _over(_warped(textures[layer], views.meshes[layer], wanted[layer]), reference, opacity)
    return reference, labels


def _window(texture: Texture) -> np.ndarray:
    return _cut(texture.photo, texture.corner, PHOTO_SIDE * texture.step, PHOTO_SIDE)


def _warped(texture: Texture, mesh: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """A layer as view 2 shows it, in the cells of the mesh with wanted pixels, uint8 [160,160,3]; black in others."""
    cells = np.argwhere(wanted.reshape(NODES - 1, CELL, NODES - 1, CELL).any(axis=(1, 3)))
    if len(cells) == 0:
        return np.zeros((PHOTO_SIDE, PHOTO_SIDE, 3), np.uint8)
    y, x = cells.T
    # Pillow's order: north-west, south-west, south-east, north-east.
    corners = np.stack([mesh[y, x], mesh[y + 1, x], mesh[y + 1, x + 1], mesh[y, x + 1]], axis=1)
    corners = texture.corner + texture.step * corners
    start = np.floor(corners.min(axis=(0, 1))) - 3.0
    side = np.ceil((corners.max(axis=(0, 1)) - start).max()) + 3.0
    diagonals = corners[:, 2] - corners[:, 0], corners[:, 1] - corners[:, 3]
    area = 0.5 * np.abs(diagonals[0][:, 0] * diagonals[1][:, 1] - diagonals[0][:, 1] * diagonals[1][:, 0])
    step = max(1.0, float(np.sqrt(np.median(area))) / CELL)
    size = int(side if step < _TOO_FINE else round(side / step))
    image = Image.fromarray(_cut(texture.photo, start, side, size))
    corners = ((corners - start) * (size / side)).reshape(-1, 8)
    mesh_of_pillow = [
        ((CELL * column, CELL * row, CELL * (column + 1), CELL * (row + 1)), tuple(corner))
        for (row, column), corner in zip(cells.tolist(), corners.tolist(), strict=True)
    ]
    size_2 = (PHOTO_SIDE, PHOTO_SIDE)
    return np.asarray(image.transform(size_2, Image.Transform.MESH, mesh_of_pillow, Image.Resampling.BICUBIC))


def _cut(photo: np.ndarray, corner: np.ndarray, side: float, size: int) -> np.ndarray:
    """A square of a photo, resized to size x size pixels; mirrored beyond the photo's borders."""
    low = np.floor(corner).astype(int)
    high = np.ceil(corner + side - 1e-6).astype(int)
    size_of_photo = np.array(photo.shape[1::-1])
    if (low >= 0).all() and (high <= size_of_photo).all():
        part = photo[low[1] : high[1], low[0] : high[0]]
    else:
        columns, rows = (_mirrored(np.arange(low[axis], high[axis]), size_of_photo[axis]) for axis in range(2))
        left, top = columns.min(), rows.min()
        part = photo[top : rows.max() + 1, left : columns.max() + 1][(rows - top)[:, None], columns - left]
    if side == size and (low == corner).all():
        return part
    left, top = corner - low
    box = (left, top, min(left + side, part.shape[1]), min(top + side, part.shape[0]))
    return np.asarray(Image.fromarray(part).resize((size, size), Image.Resampling.BICUBIC, box))


def _mirrored(positions: Any, end: int) -> Any:
    """Pixels along an axis of `end` pixels, those beyond its ends mirrored."""
    positions = positions % (2 * end)
    return np.minimum(positions, 2 * end - 1 - positions)


def _opacity(shape: np.ndarray) -> np.ndarray:
    """Of each pixel, float32 [160,160] in [0, 1]: edges are one pixel wide in either view."""
    down, right = np.gradient(shape)
    return np.clip(0.5 + shape / (np.hypot(down, right) + 1e-6), 0.0, 1.0)


def _over(upper: np.ndarray, lower: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """A layer over what is behind it."""
    rows, columns = (np.flatnonzero(opacity.any(axis=axis)) for axis in (1, 0))
    if len(rows) == 0:
        return lower
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    mask = Image.fromarray(np.uint8(np.rint(255.0 * opacity[box])))
    result = lower.copy()
    result[box] = np.asarray(Image.composite(Image.fromarray(upper[box]), Image.fromarray(lower[box]), mask))
    return result


def _true_positions(scene: Scene) -> Any:
    """Of LR pixels in the reference, float32 [40,40,2], NaN where they are not seen."""
    points = np.stack(np.meshgrid(LR_CENTRES, LR_CENTRES), axis=-1).reshape(-1, 2)
    x, y = points.astype(int).T
    layers = scene.labels[y, x]
    positions = scene.views.in_view_2(points + 0.5, layers) - 0.5
    pixels: np.ndarray = np.rint(np.nan_to_num(positions, nan=-1.0)).astype(int)
    inside = np.asarray(((pixels >= 0) & (pixels < PHOTO_SIDE)).all(axis=-1))
    x, y = np.where(inside[:, None], pixels, 0).T
    seen = inside & scene.related[layers] & (scene.reference_labels[y, x] == layers)
    positions[~seen] = np.nan
    return np.float32(positions.reshape(len(LR_CENTRES), len(LR_CENTRES), 2))
