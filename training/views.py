"""Layers on planes and bent surfaces, seen by two cameras: where a point of one view lies in the other.

Positions (x, y) are in pixels and count from pixel corners here: the first pixel's centre is (0.5, 0.5).
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .augmentation import PHOTO_SIDE

CELL = 20  # side in pixels of the meshes' cells
NODES = PHOTO_SIDE // CELL + 1  # of a mesh along an axis
_CENTRE = PHOTO_SIDE / 2

# Of the second camera against the first: standard deviation and largest value of each. Most real pairs differ little.
_SCALE = 0.3, 1.0  # in powers of two
_ROLL = 7.0, 20.0  # degrees in the plane of the picture
_PAN = 4.0, 10.0  # degrees around each of the other axes; the view is centred again afterwards
_OFFSET = 14.0, 40.0  # pixels along each axis by which the views' centres differ
_PARALLAX = 12.0, 30.0  # pixels along each axis between the background and the nearest layer
_APPROACH = 0.03, 0.08  # of the distance to the background

_FOCAL_LENGTHS = 200.0, 450.0  # pixels
_NEAREST = 2.5  # of inverse depths; the background's is 1
_SLANT = 0.4  # largest slope of a plane along each axis
_BEND = 2.0, 5.0  # pixels: standard deviation and largest value of the bend's amplitude
_BEND_NODES = 4  # random numbers along each axis that a bend is interpolated from
_MOVED = 0.3  # share of the layers before the background that are moved between both photos
_MOVE, _TURN, _GROWTH = (10.0, 25.0), (8.0, 25.0), (0.1, 0.25)  # of moved layers: pixels, degrees, powers of two

_ITERATIONS = 6  # of the inversion
_TOLERANCE = 0.1  # pixels that an inverted position may be off


def interpolated(nodes: np.ndarray, first: int, last: int) -> np.ndarray:
    """Bilinear interpolation between node `first`, at a view's corner, and node `last`, at the opposite one.

    Args:
        nodes: [n,n].
        first, last: of each axis.

    Returns:
        float32 [160,160], at the view's pixel centres.
    """
    image = Image.fromarray(np.asarray(nodes, np.float32))
    box = (first + 0.5, first + 0.5, last + 0.5, last + 0.5)
    return np.asarray(image.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BILINEAR, box))


class Views:
    """Warps of the layers of a scene between two views of 160x160 pixels, drawn at random.

    Layer 0 is the background, layers with higher numbers are nearer. Each is a plane that both cameras see, so that a
    homography leads from one view to the other, plus a smooth bend.

    Args:
        random: what is drawn depends on its state alone.
        layers: their number.

    Attributes:
        meshes: float64 [layers,9,9,2], for nodes every 20 pixels of view 2 the positions in view 1; bilinear in between.
        scale: of view 2 against view 1, between about 0.5 and 2.
    """

    def __init__(self, random: np.random.RandomState, layers: int) -> None:
        self.scale = 2.0 ** _normal(random, _SCALE)
        self._homographies = _homographies(random, layers, self.scale)
        self._inverses = np.linalg.inv(self._homographies)
        axis = np.arange(NODES) * float(CELL)
        nodes = np.stack(np.meshgrid(axis, axis), axis=-1)
        planes = np.stack([_project(inverse, nodes) for inverse in self._inverses])
        bends = random.standard_normal((layers, 2, _BEND_NODES, _BEND_NODES))
        amplitudes = np.minimum(np.abs(random.standard_normal(layers)) * _BEND[0], _BEND[1])
        # Normal numbers beyond 2 would fold the surface where two neighbours differ most.
        bends = np.clip(bends, -2.0, 2.0) / 2.0 * amplitudes[:, None, None, None]
        self.meshes = planes + np.moveaxis(_SMOOTH @ bends @ _SMOOTH.T, 1, -1)

    def field(self, layer: int) -> np.ndarray:
        """Where in view 1 each pixel of view 2 lies, float32 [160,160,2]."""
        return np.stack([interpolated(self.meshes[layer, ..., axis], 0, NODES - 1) for axis in range(2)], axis=-1)

    def in_view_2(self, positions: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """Where points of view 1 lie in view 2; the inverse of `meshes`, by fixed-point iteration.

        Args:
            positions: float [P,2] in view 1.
            layers: int [P], the layer that each point lies on.

        Returns:
            float64 [P,2]; NaN where there is no such point in view 2.
        """
        homographies, inverses = self._homographies[layers], self._inverses[layers]
        found = np.clip(_project(homographies, positions), 0.0, PHOTO_SIDE)
        for _ in range(_ITERATIONS):
            bend = self._interpolated(found, layers) - _project(inverses, found)
            found = np.clip(_project(homographies, positions - bend), 0.0, PHOTO_SIDE)
        # Positions outside end at the border, where they are not the inverse.
        wrong = np.abs(self._interpolated(found, layers) - positions).max(axis=-1) > _TOLERANCE
        found[wrong] = np.nan
        return found

    def _interpolated(self, positions: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """The meshes at positions of view 2."""
        scaled = positions / CELL
        x, y = np.minimum(scaled.astype(int), NODES - 2).T
        right, down = (scaled - np.stack([x, y], axis=-1))[..., None].transpose(1, 0, 2)
        mesh = self.meshes
        upper = (1 - right) * mesh[layers, y, x] + right * mesh[layers, y, x + 1]
        lower = (1 - right) * mesh[layers, y + 1, x] + right * mesh[layers, y + 1, x + 1]
        return (1 - down) * upper + down * lower


def _smooth_functions() -> np.ndarray:
    """Weights [NODES,_BEND_NODES] of cubic interpolation, for bends."""
    position = np.linspace(0, _BEND_NODES - 1, NODES)[:, None] - np.arange(_BEND_NODES)
    distance = np.minimum(np.abs(position), 1.0)
    weights = 1 - distance**2 * (3 - 2 * distance)
    return weights / weights.sum(axis=1, keepdims=True)


_SMOOTH = _smooth_functions()


def _homographies(random: np.random.RandomState, layers: int, scale: float) -> np.ndarray:
    """Of each layer, from view 1 to view 2, float64 [layers,3,3]."""
    focal = random.uniform(*_FOCAL_LENGTHS)
    camera_1, camera_2 = _camera(focal), _camera(focal * scale)
    roll, pan, tilt = (np.radians(_normal(random, limits)) for limits in (_ROLL, _PAN, _PAN))
    rotation = _rotation(0, 1, roll) @ _rotation(0, 2, pan) @ _rotation(1, 2, tilt)
    parallax = [_normal(random, _PARALLAX) for _ in range(2)]
    shift = np.array([*(np.array(parallax) / focal / (_NEAREST - 1.0)), _normal(random, _APPROACH)])
    inverse_depths = np.concatenate([[1.0], np.sort(random.uniform(1.0, _NEAREST, layers - 1))])
    homographies = []
    for inverse_depth in inverse_depths:
        normal = np.array([*random.uniform(-_SLANT, _SLANT, 2), 1.0])
        plane = rotation + np.outer(shift, normal) * inverse_depth
        homographies.append(camera_2 @ plane @ np.linalg.inv(camera_1))
    for layer in range(1, layers):
        if random.random_sample() < _MOVED:
            homographies[layer] = homographies[layer] @ _movement(random)
    focus = homographies[random.randint(layers)]
    centre = _project(focus, np.array([_CENTRE, _CENTRE]))
    offset = _CENTRE - centre + [_normal(random, _OFFSET) for _ in range(2)]
    centred = np.stack([_translation(offset) @ homography for homography in homographies])
    return centred / centred[:, 2:, 2:]


def _movement(random: np.random.RandomState) -> np.ndarray:
    """A similarity of view 1 about its centre."""
    turn = np.radians(_normal(random, _TURN))
    linear = _rotation(0, 1, turn) * 2.0 ** _normal(random, _GROWTH)
    linear[2, 2] = 1.0
    away = np.array([_normal(random, _MOVE) for _ in range(2)])
    return _translation(away + _CENTRE) @ linear @ _translation([-_CENTRE, -_CENTRE])


def _camera(focal: float) -> np.ndarray:
    return np.array([[focal, 0.0, _CENTRE], [0.0, focal, _CENTRE], [0.0, 0.0, 1.0]])


def _rotation(first: int, second: int, angle: float) -> np.ndarray:
    """In the plane of two axes."""
    matrix = np.eye(3)
    matrix[[first, second], [first, second]] = np.cos(angle)
    matrix[first, second], matrix[second, first] = -np.sin(angle), np.sin(angle)
    return matrix


def _translation(offset: Sequence[float] | np.ndarray) -> np.ndarray:
    return np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]], [0.0, 0.0, 1.0]])


def _project(homography: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Positions [...,2] mapped by one homography [3,3], or by one for each [P,3,3]."""
    mapped = (homography[..., :2] @ positions[..., None])[..., 0] + homography[..., 2]
    return mapped[..., :2] / mapped[..., 2:]


def _normal(random: np.random.RandomState, limits: tuple[float, float]) -> float:
    """A normal number, clipped."""
    deviation, largest = limits
    return float(np.clip(deviation * random.standard_normal(), -largest, largest))
