"""Validation of a run: PSNR on a folder of pairs, or the share of correct matches on warped photos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from keras import ops

from c2m_tf.evaluation.evaluator import BICUBIC, SR, GroupResult, evaluate_model, mean_of
from c2m_tf.evaluation.groups import find_groups
from c2m_tf.network import FEATURE_STRIDE
from c2m_tf.network.matching import match
from c2m_tf.network.model import C2Matching
from c2m_tf.photos import images
from c2m_tf.photos.degradations import degradation_named
from c2m_tf.photos.drawing import Panel, match_map, sheet
from c2m_tf.upscaling.upscaler import Upscaler

from .augmentation import PHOTO_SIDE, draw_homography, warp
from .losses import IMAGE_BORDER
from .trainers import Extractors

_SEED = 0


class Validation(Protocol):
    """What judges a run."""

    judged_by: str  # the figure that the best network has the highest of

    def measure(self, product: Any) -> tuple[dict[str, float], np.ndarray | None]:
        """Figures of what the run makes, and a picture uint8 [H,W,3] or None."""


class PairsValidation:
    """Mean PSNR and SSIM by the plain protocol of `c2m-tf evaluate`.

    Args:
        folder: groups NNN_0 (HR), NNN_1 (reference), ...
        references: "1" for the first reference, "none" for no reference.
        degradations: names that `photos.degradations.degradation_named` takes; how the LR photos are made.

    Raises:
        ValueError: no folder, no groups, damaged photos, or an unknown degradation.
    """

    judged_by = "psnr_y"

    def __init__(self, folder: str | Path, references: str = "1", degradations: Sequence[str] = ("bicubic",)) -> None:
        self.degradations = {name: degradation_named(name) for name in degradations}
        self.groups = find_groups(folder, references)
        for group in self.groups:
            for path in (group.hr, *group.references):
                images.read(path)

    def measure(self, network: C2Matching) -> tuple[dict[str, float], np.ndarray]:
        """Mean figures over groups and degradations (PSNR in dB, SSIM, gain over bicubic in dB), a sheet of the first group.

        With several degradations also each one's PSNR, as "psnr_y_NAME".
        """
        upscaler = Upscaler(network)
        results = {
            name: evaluate_model(upscaler, self.groups, degradation=degradation)
            for name, degradation in self.degradations.items()
        }
        every = [result for of_one in results.values() for result in of_one]
        figures = {
            "psnr_y": mean_of(every, "psnr_y"),
            "ssim_y": mean_of(every, "ssim_y"),
            "gain": mean_of(every, "psnr_y") - mean_of(every, "psnr_y", BICUBIC),
        }
        if len(results) > 1:
            for name, of_one in results.items():
                figures[f"psnr_y_{name}"] = mean_of(of_one, "psnr_y")
        return figures, _sheet(upscaler, every[0])


class HeldBackPairs(PairsValidation):
    """The same on photos that were held back: the middle 160x160 of each, its reference a warp of it by a fixed homography.

    Args:
        photos: files.
        degradations: as of `PairsValidation`.

    Raises:
        ValueError: damaged photos, or an unknown degradation.
    """

    def __init__(self, photos: Sequence[Path], degradations: Sequence[str] = ("bicubic",)) -> None:
        self.degradations = {name: degradation_named(name) for name in degradations}
        random = np.random.RandomState(_SEED)
        self._pairs = [_warped(path, random)[:2] for path in photos]

    def write(self, folder: Path) -> None:
        """Writes the pairs as `c2m-tf evaluate --pairs` reads them; `measure` does too, so this comes before it."""
        images.make_folder(folder)
        for number, pair in enumerate(self._pairs):
            for place, photo in enumerate(pair):
                images.write(folder / f"{number:03}_{place}.png", photo)
        self.groups = find_groups(folder)


class MatchingValidation:
    """Share of cells whose match lies within one cell of the truth, on photos warped by fixed homographies.

    Args:
        photos: files; the middle 160x160 of each is used, again with other homographies until `count` pairs are made.
        count: number of pairs.
        degradation: name of how the photo is made an LR photo first, which is upsampled as the student meets it; None for not.
        others: names of further degradations, for which the share is reported too.
    """

    judged_by = "matched"

    def __init__(self, photos: Sequence[Path], count: int, degradation: str | None, others: Sequence[str] = ()) -> None:
        random = np.random.RandomState(_SEED)
        windows, references, homographies = [], [], []
        for position in range(count):
            window, reference, homography = _warped(photos[position % len(photos)], random)
            windows.append(window)
            references.append(reference)
            homographies.append(homography)
        self._windows = {"": _degraded(windows, degradation)} | {f"_{name}": _degraded(windows, name) for name in others}
        self._references = images.as_float(np.stack(references))
        self._homographies = homographies

    def measure(self, extractors: Extractors) -> tuple[dict[str, float], None]:
        """The share over all pairs, in [0, 1], as "matched", and of further degradations as "matched_NAME"; no sheet."""
        return {f"matched{name}": self._share(extractors, windows) for name, windows in self._windows.items()}, None

    def _share(self, extractors: Extractors, windows: np.ndarray) -> float:
        right = total = 0
        for window, reference, homography in zip(windows, self._references, self._homographies, strict=True):
            first, second = extractors(window[None], reference[None])
            found, _ = match(first, second, ops.ones(second.shape[1:3]))
            within, usable = _within_one_cell(ops.convert_to_numpy(found)[0], homography)
            right += int((within & usable).sum())
            total += int(usable.sum())
        return right / total


def _warped(path: Path, random: np.random.RandomState) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The middle 160x160 of a photo, the same warped by a homography, uint8 both, and the homography."""
    photo = images.as_uint8(images.read(path).visible())
    y, x = ((side - PHOTO_SIDE) // 2 for side in photo.shape[:2])
    homography = draw_homography(random)
    return photo[y : y + PHOTO_SIDE, x : x + PHOTO_SIDE], warp(photo, homography, (y, x), PHOTO_SIDE), homography


def _degraded(windows: Sequence[np.ndarray], name: str | None) -> np.ndarray:
    """float32 [N,H,W,3]: the windows as LR photos of that degradation, upsampled again; as they are if the name is None."""
    if name is None:
        return images.as_float(np.stack(windows))
    degradation, random = degradation_named(name), np.random.RandomState(_SEED)
    return images.as_float(np.stack([images.upsample(degradation(window, random)) for window in windows]))


def _within_one_cell(found: np.ndarray, homography: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which matches [h,w,2] (y, x) lie within a cell of the truth, and which have one well inside the warp."""
    height, width = found.shape[:2]
    y, x = np.mgrid[:height, :width] * FEATURE_STRIDE
    mapped = np.stack([x, y, np.ones_like(x)], axis=-1) @ homography.T
    truth = mapped[..., 1::-1] / mapped[..., 2:]
    usable = ((truth > IMAGE_BORDER) & (truth < FEATURE_STRIDE * (np.array([height, width]) - 1))).all(axis=-1)
    within = np.abs(found - truth / FEATURE_STRIDE).max(axis=-1) <= 1.0
    return within, usable


def _sheet(upscaler: Upscaler, result: GroupResult) -> np.ndarray:
    case = result.case
    assert case is not None  # kept until `without_photos`
    reference = case.references[0] if case.references else case.lr
    panels = [
        Panel("LR", case.lr),
        Panel("bicubic", result.pictures[BICUBIC]),
        Panel("SR", result.pictures[SR]),
        Panel("HR", case.hr),
        Panel("Ref", reference),
        Panel("matches", match_map(*upscaler.find_matches(case.lr, reference))),
    ]
    return sheet([panels[:3], panels[3:]], height=300)
