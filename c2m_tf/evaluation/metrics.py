"""Figures that compare a result with its HR photo, and the field's protocols, each with its definition.

PSNR and SSIM are functions on 8-bit photos, and keras.metrics for training:

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255   for R, G, B in 0..255; not rounded
    PSNR = 10 log10(255^2 / mean squared difference)
    SSIM: 11x11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, mean over the valid area

Papers first crop a border of 4 px (the scale). Sources: the released evaluation code of C2-Matching; for SSIM Wang et al.
(2004). PSNR rewards blur, so there are perceptual measures; lower is better for all of them:

    flip   mean of FLIP (Andersson et al., 2020): the difference seen when the two photos are flipped on a screen at 67 pixels
           per degree of view; package flip-evaluator, extra `flip`, nothing is downloaded
    lpips  LPIPS (Zhang et al., CVPR 2018) on VGG-16, package piq, extra `perceptual`
    dists  DISTS (Ding et al., 2020), package piq, extra `perceptual`

piq downloads VGG-16 (528 MB) and the weights of both measures on first use. All are computed within the protocol's border.

A protocol says how a group of photos becomes a case (LR photo and references) and how an SR photo is compared with its HR one:
figures of two protocols differ by tenths of a dB for the same pictures, so published numbers compare only under their own.

    plain      this project's: nothing padded, references of any size
    paper      C2-Matching (Jiang et al., CVPR 2021), its released evaluation code
    ttsr       TTSR (Yang et al., CVPR 2020), its released evaluation code, which SRNTT's tables agree with
    mmagic-rgb MMagic's configs of TTSR: figures on RGB

All have in common: colours that full transparency hides are replaced by the nearest visible ones; HR photos are cropped to
multiples of 4 at the bottom and right; references are brought to the HR photo's colour space, which the LR photo has as well;
PSNR has a peak of 255 and is averaged over photos, not over errors.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from skimage.metrics import structural_similarity

from c2m_tf.evaluation.groups import Group
from c2m_tf.network.tensors import Tensor
from c2m_tf.photos import images
from c2m_tf.photos.degradations import Degradation
from c2m_tf.photos.images import as_float

BORDER = 4
_LUMA = (65.481, 128.553, 24.966)
_WINDOW, _SIGMA = 11, 1.5

MEASURES = ("flip", "lpips", "dists")

# uint8 HR and SR [H,W,3] -> figure
Measure = Callable[[np.ndarray, np.ndarray], float]

FIGURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 luma of uint8 RGB: float64 [H,W], 16..235."""
    return rgb.astype(np.float64) @ (np.array(_LUMA) / 255.0) + 16.0


def psnr(first: np.ndarray, second: np.ndarray, border: int = BORDER) -> float:
    """Peak signal-to-noise ratio in dB of two photos of equal shape on the scale 0..255.

    Args:
        first, second: [H,W] or [H,W,3].
        border: pixels to leave out on each side.

    Returns:
        float; infinite if they are equal.

    Raises:
        ValueError: different shapes, or nothing left inside the border.
    """
    first, second = _inside(first, second, border, 1)
    error = np.mean(np.square(first - second))
    return float("inf") if error == 0 else float(10.0 * np.log10(255.0**2 / error))


def ssim(first: np.ndarray, second: np.ndarray, border: int = BORDER) -> float:
    """Structural similarity of two one-channel photos [H,W] on the scale 0..255; arguments and errors as `psnr`."""
    first, second = _inside(first, second, border, _WINDOW)
    return float(
        structural_similarity(first, second, gaussian_weights=True, sigma=_SIGMA, use_sample_covariance=False, data_range=255.0)
    )


def _inside(first: np.ndarray, second: np.ndarray, border: int, minimum: int) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"photos to compare have shapes {first.shape} and {second.shape}; they must be equal")
    if min(first.shape[:2]) < 2 * border + minimum:
        raise ValueError(f"a photo of {first.shape[:2]} is too small to compare within a border of {border} px")
    inner = slice(border, -border or None)
    return first[inner, inner], second[inner, inner]


class _MeanOverPhotos(keras.metrics.Metric):
    """Mean of a figure that `_of_photos(hr_luma, sr_luma)` gives for each photo."""

    def __init__(self, name: str, border: int = BORDER, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.border = border
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, hr: Tensor, sr: Tensor, sample_weight: Tensor | None = None) -> None:
        """Adds a batch; hr and sr are float [B,H,W,3] in [0, 1], rounded to 8 bits here. Weights are not supported."""
        if sample_weight is not None:
            raise ValueError(f"{self.name} counts every photo once; sample weights are not supported")
        values = self._of_photos(self._luma(hr), self._luma(sr))
        self.total.assign_add(ops.sum(values))
        self.count.assign_add(ops.cast(ops.shape(values)[0], "float32"))

    def result(self) -> Tensor:
        """Mean over all photos so far; 0 before the first."""
        return ops.divide_no_nan(self.total, self.count)

    def _luma(self, rgb: Tensor) -> Tensor:
        eight_bits = ops.round(ops.clip(ops.cast(rgb, "float32"), 0.0, 1.0) * 255.0)
        eight_bits = eight_bits[:, self.border : -self.border or None, self.border : -self.border or None]
        return ops.sum(eight_bits * (np.array(_LUMA, np.float32) / np.float32(255.0)), axis=-1) + 16.0

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "border": self.border}


@keras.saving.register_keras_serializable("c2m_tf")
class PSNR(_MeanOverPhotos):
    """Mean PSNR on Y in dB; a perfect photo counts as 100 dB."""

    def __init__(self, name: str = "psnr_y", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def _of_photos(self, hr: Tensor, sr: Tensor) -> Tensor:
        error = ops.mean(ops.square(hr - sr), axis=(1, 2))
        return 10.0 * ops.log10(255.0**2 / ops.maximum(error, 255.0**2 * 1e-10))


@keras.saving.register_keras_serializable("c2m_tf")
class SSIM(_MeanOverPhotos):
    """Mean SSIM on Y."""

    def __init__(self, name: str = "ssim_y", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)

    def _of_photos(self, hr: Tensor, sr: Tensor) -> Tensor:
        # Moments about 128 keep the squares small, which float32 needs; SSIM's covariances do not depend on the shift.
        hr, sr = hr[..., None] - 128.0, sr[..., None] - 128.0
        mean_hr, mean_sr = _blur(hr), _blur(sr)
        variance_hr = _blur(hr * hr) - mean_hr**2
        variance_sr = _blur(sr * sr) - mean_sr**2
        covariance = _blur(hr * sr) - mean_hr * mean_sr
        mean_hr, mean_sr = mean_hr + 128.0, mean_sr + 128.0
        c1, c2 = (0.01 * 255.0) ** 2, (0.03 * 255.0) ** 2
        luminance = (2 * mean_hr * mean_sr + c1) / (mean_hr**2 + mean_sr**2 + c1)
        structure = (2 * covariance + c2) / (variance_hr + variance_sr + c2)
        return ops.mean(luminance * structure, axis=(1, 2, 3))


def _blur(values: Tensor) -> Tensor:
    """Gaussian window over the valid area of [B,H,W,1]."""
    distance = np.arange(_WINDOW) - _WINDOW // 2
    weights = np.exp(-(distance**2) / (2 * _SIGMA**2))
    weights = (weights / weights.sum()).astype(np.float32)
    for shape in ((_WINDOW, 1, 1, 1), (1, _WINDOW, 1, 1)):
        values = ops.conv(values, ops.convert_to_tensor(weights.reshape(shape)), padding="valid", data_format="channels_last")
    return values


def load_measures(names: Sequence[str]) -> dict[str, Measure]:
    """The measures of those names, ready for use.

    Args:
        names: of MEASURES.

    Returns:
        {name: measure}; a measure takes uint8 photos [H,W,3], HR and SR, and gives a float.

    Raises:
        ValueError: unknown name, or weights that cannot be downloaded.
        ImportError: the package is not installed; the message says how to install it.
    """
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"unknown measure {name!r}; choose from {', '.join(MEASURES)}")
    return {name: _flip() if name == "flip" else _of_piq(name) for name in names}


def _flip() -> Measure:
    try:
        from flip_evaluator import evaluate
    except ImportError as error:
        raise ImportError(f"measure flip needs: pip install 'c2m-tf[flip]' ({error})") from error

    def measure(hr: np.ndarray, sr: np.ndarray) -> float:
        return float(evaluate(as_float(hr), as_float(sr), "LDR", inputsRGB=True, applyMagma=False)[1])

    return measure


def _of_piq(name: str) -> Measure:
    try:
        import piq
        import torch
    except ImportError as error:
        raise ImportError(f"measure {name} needs: pip install 'c2m-tf[perceptual]' ({error}); flip needs no torch") from error
    try:
        compare = {"lpips": piq.LPIPS, "dists": piq.DISTS}[name]()
    except OSError as error:  # urllib's errors are
        raise ValueError(
            f"measure {name} needs weights that piq downloads on first use, and that failed: {error}; go online once, or take "
            f"flip, which needs none"
        ) from error

    def measure(hr: np.ndarray, sr: np.ndarray) -> float:
        with torch.inference_mode():
            tensors = (torch.from_numpy(as_float(photo)).permute(2, 0, 1)[None] for photo in (sr, hr))
            return float(compare(*tensors))

    return measure


class Case(NamedTuple):
    """A group prepared by a protocol.

    Attributes:
        name: of the group.
        hr: uint8 [H,W,3], the HR photo, sides multiples of 4, in its own colour space, as everything that is made of it.
        lr: uint8 [h,w,3], the LR photo, padded if the protocol pads: 4h >= H, 4w >= W.
        references: uint8 photos in the colour space of the HR photo, best first; empty for none.
        bicubic: uint8 [H,W,3], the LR photo upsampled by Pillow's bicubic.
        icc_profile: of that colour space; None for sRGB, and for gray photos.
    """

    name: str
    hr: np.ndarray
    lr: np.ndarray
    references: list[np.ndarray]
    bicubic: np.ndarray
    icc_profile: bytes | None = None


@dataclass(frozen=True)
class Protocol:
    """Definition of a protocol.

    Attributes:
        name: as on the command line.
        channel: "Y" or "RGB", on which PSNR and SSIM are computed.
        border: pixels left out on each side.
        rounding: whether SR is rounded to 8 bits before it is compared; it is clipped in any case.
        references: "as they are"; "cropped" to multiples of 4; "padded", cropped so, and then all photos of a group, HR photo
            included, padded with black at the bottom and right to one size before downsampling; or "as the HR photo", cropped
            or padded with black to the HR photo's size.
        source: where it comes from.
    """

    name: str
    channel: str
    border: int
    rounding: bool
    references: str
    source: str

    @property
    def judged_by(self) -> str:
        """The figure of FIGURES that systems are compared by."""
        return f"psnr_{self.channel.lower()}"

    def __str__(self) -> str:
        """The whole definition in one sentence."""
        references = {
            "as they are": "references as they are",
            "cropped": "references cropped to multiples of 4",
            "padded": "HR photo and references padded with black to one size before downsampling, SR cropped back",
            "as the HR photo": "references cropped or padded with black to the HR photo's size",
        }[self.references]
        channel = "unrounded BT.601 luma" if self.channel == "Y" else "R, G and B (PSNR jointly, SSIM averaged)"
        rounding = "SR rounded to 8 bits" if self.rounding else "SR clipped but not rounded"
        border = f"a border of {self.border} px left out" if self.border else "no border left out"
        return f"{self.name} ({self.source}): {references}; {rounding}; {border}; PSNR and SSIM on {channel}"

    def case(self, group: Group, degrade: Callable[[np.ndarray], np.ndarray] = images.downsample) -> Case:
        """Reads a group and makes its LR photo.

        Args:
            group: Group.
            degrade: from an HR photo, sides multiples of 4, to the LR photo; Pillow's bicubic by default.

        Raises:
            images.ImageError: photos that cannot be read.
        """
        photo = images.read(group.hr)
        hr = images.crop_to_multiple(images.as_uint8(photo.visible()))
        references = [images.as_uint8(images.read(path).in_colours_of(photo)) for path in group.references]
        if self.references in ("cropped", "padded"):
            references = [images.crop_to_multiple(reference) for reference in references]
        if self.references == "as the HR photo":
            references = [_fitted(reference, *hr.shape[:2]) for reference in references]
        padded = hr
        if self.references == "padded":
            height, width = (max(photo.shape[axis] for photo in (hr, *references)) for axis in (0, 1))
            padded, *references = (_fitted(photo, height, width) for photo in (hr, *references))
        lr = degrade(padded)
        bicubic = images.upsample(lr)[: hr.shape[0], : hr.shape[1]]
        return Case(group.name, hr, lr, references, bicubic, None if photo.gray else photo.icc_profile)

    def figures(self, hr: np.ndarray, sr: np.ndarray) -> dict[str, float]:
        """All of FIGURES, PSNR in dB.

        Args:
            hr: uint8 [H,W,3].
            sr: uint8, or float in [0, 1], of the same shape.

        Raises:
            ValueError: different shapes, or photos too small.
        """
        sr = self.compared(sr)
        hr_y, sr_y = luma(hr), luma(sr)
        channels = [ssim(hr[..., channel], sr[..., channel], self.border) for channel in range(3)]
        return {
            "psnr_y": psnr(hr_y, sr_y, self.border),
            "ssim_y": ssim(hr_y, sr_y, self.border),
            "psnr_rgb": psnr(hr, sr, self.border),
            "ssim_rgb": float(np.mean(channels)),
        }

    def compared(self, sr: np.ndarray) -> np.ndarray:
        """The SR photo as it is compared, on the scale 0..255: uint8, or float32 if the protocol does not round."""
        if self.rounding or sr.dtype == np.uint8:
            return images.as_uint8(sr)
        return np.clip(np.asarray(sr, np.float32), 0.0, 1.0) * np.float32(255.0)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("plain", "Y", 4, True, "as they are", "c2m-tf"),
        Protocol("paper", "Y", 4, True, "padded", "C2-Matching, CVPR 2021, released code"),
        Protocol("ttsr", "Y", 0, True, "cropped", "TTSR, CVPR 2020, released code"),
        Protocol("mmagic-rgb", "RGB", 4, False, "as the HR photo", "MMagic, configs of TTSR"),
    )
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name; raises ValueError, naming the choices, if there is none."""
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]


def degrading(degradation: Degradation, group: Group) -> Callable[[np.ndarray], np.ndarray]:
    """From a group's HR photo to its LR photo. Noise depends on the group's name alone, whatever else is evaluated."""
    random = np.random.RandomState(zlib.crc32(group.name.encode()))
    return lambda hr: degradation(hr, random)


def _fitted(photo: np.ndarray, height: int, width: int) -> np.ndarray:
    """The photo cropped, or padded with black, at the bottom and right."""
    photo = photo[:height, :width]
    return np.pad(photo, ((0, height - photo.shape[0]), (0, width - photo.shape[1]), (0, 0)))
