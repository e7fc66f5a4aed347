"""Evaluation protocols of the field, each with its definition.

A protocol says how a group of photos becomes a case (LR photo and references) and how an SR photo is compared with its HR one:
figures of two protocols differ by tenths of a dB for the same pictures, so published numbers compare only under their own.

    plain      this project's: nothing padded, references of any size
    paper      C2-Matching (Jiang et al., CVPR 2021), its released evaluation code
    ttsr       TTSR (Yang et al., CVPR 2020), its released evaluation code, which SRNTT's tables agree with
    mmagic-rgb MMagic's configs of TTSR: figures on RGB

All have in common: colours that full transparency hides are replaced by the nearest visible ones; HR photos are cropped to
multiples of 4 at the bottom and right; references are brought to the HR photo's colour space, which the LR photo has as well;
PSNR has a peak of 255 and is averaged over photos, not over errors; SSIM has an 11x11 Gaussian window of sigma 1.5 and is taken
where the window fits (see `metrics`).
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from c2m_tf.evaluation import metrics
from c2m_tf.evaluation.groups import Group
from c2m_tf.photos import images
from c2m_tf.photos.degradations import Degradation

FIGURES = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb")


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
        hr_y, sr_y = metrics.luma(hr), metrics.luma(sr)
        channels = [metrics.ssim(hr[..., channel], sr[..., channel], self.border) for channel in range(3)]
        return {
            "psnr_y": metrics.psnr(hr_y, sr_y, self.border),
            "ssim_y": metrics.ssim(hr_y, sr_y, self.border),
            "psnr_rgb": metrics.psnr(hr, sr, self.border),
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
