"""Degradations that make an LR photo of an HR photo, in a single pass (first order).

    HR photo -> blur -> downsampling by 4 -> sensor noise -> sharpening -> JPEG -> LR photo, 8 bits

Each step except the downsampling is optional. `degradation_named` gives those with a name, for evaluation. The same HR photo,
degradation and seed give the same LR photo. Photos are uint8 [H,W,3] RGB throughout: Pillow resizes 8 bits, and noise is
rounded to 8 bits.

Training draws others at random, half of the samples clean, the others like photos in everyday use:

    random = np.random.RandomState(7)
    lr = draw_degradation(random)(hr, random)
    reference = draw_reference_degradation(random)(reference)

Clean means Pillow's bicubic for LR photos, the protocol of the field, and the photo itself for references. The steps of the
others are drawn independently, so that every subset of steps occurs.
"""

import dataclasses
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage

from c2m_tf.photos.images import SCALE, as_uint8

RESAMPLINGS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "lanczos": Image.Resampling.LANCZOS,
}
CHROMA_SAMPLINGS = {"4:4:4": 0, "4:2:0": 2}  # Pillow's numbers
_GRAY_LEVELS = 255.0
_KERNEL_RADIUS = 4.0  # standard deviations at which a blur kernel ends

CLEAN_SHARE = 0.5

# For samples that are not clean: the probability of each step, and the range that its value is drawn from.
_BLURRED, _BLUR = 0.5, (0.3, 2.0)  # standard deviation in HR pixels
_ANISOTROPIC = 0.5  # of the blurred
_TWO_STEP, _INTERMEDIATE = 0.2, (0.3, 0.8)  # share of the HR photo's sides
_POISSON, _PHOTONS = 0.3, (200.0, 5000.0)  # at white; drawn uniformly in the logarithm
_NOISY, _NOISE = 0.4, (0.5, 10.0)  # grey levels
_SHARPENED, _SHARPENING = 0.2, (0.2, 1.0)
_COMPRESSED, _QUALITY = 0.7, (40, 95)
_FULL_CHROMA = 0.3  # of the compressed
_RELIT, _EXPOSURE, _WHITE_BALANCE, _GAMMA = 0.7, (-1.0, 0.5), (0.8, 1.25), (0.8, 1.25)
_REFERENCE_BLURRED, _REFERENCE_BLUR = 0.3, (0.3, 1.0)  # standard deviation in pixels of the reference
_REFERENCE_COMPRESSED = 0.5


@dataclass(frozen=True)
class Blur:
    """Gaussian blur: isotropic when both standard deviations are equal.

    Attributes:
        along, across: standard deviations in pixels of the photo that is blurred, greater than 0.
        angle: direction of `along` in radians, from the x axis towards the y axis (downwards).
    """

    along: float
    across: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        if min(self.along, self.across) <= 0:
            raise ValueError(f"a blur has standard deviations ({self.along}, {self.across}); both must be greater than 0")

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The blurred photo, of the same shape; at its edges the photo is continued by reflection."""
        values = photo.astype(np.float32)
        if self.along == self.across:
            blurred = ndimage.gaussian_filter(values, (self.along, self.along, 0), mode="reflect", truncate=_KERNEL_RADIUS)
        else:
            blurred = ndimage.convolve(values, self._kernel()[..., None], mode="reflect")
        return _rounded(blurred)

    def __str__(self) -> str:
        if self.along == self.across:
            return f"Gaussian blur of {self.along:g} px"
        return f"Gaussian blur of {self.along:g} by {self.across:g} px at {math.degrees(self.angle):.0f} degrees"

    def _kernel(self) -> np.ndarray:
        radius = math.ceil(_KERNEL_RADIUS * max(self.along, self.across))
        y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
        u = x * math.cos(self.angle) + y * math.sin(self.angle)
        v = y * math.cos(self.angle) - x * math.sin(self.angle)
        kernel = np.exp(-0.5 * ((u / self.along) ** 2 + (v / self.across) ** 2))
        return kernel / kernel.sum()


@dataclass(frozen=True)
class Jpeg:
    """JPEG compression by Pillow.

    Attributes:
        quality: of libjpeg, 1 to 100.
        chroma: "4:2:0" (colour at half the resolution, as most cameras and messengers store it) or "4:4:4".
    """

    quality: int
    chroma: str = "4:2:0"

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"JPEG quality {self.quality} is out of range; give a whole number from 1 to 100")
        _check_known("chroma sampling", self.chroma, CHROMA_SAMPLINGS)

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The photo compressed and decoded again."""
        file = io.BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=int(self.quality), subsampling=CHROMA_SAMPLINGS[self.chroma])
        with Image.open(file) as decoded:
            return np.asarray(decoded)

    def __str__(self) -> str:
        return f"JPEG of quality {self.quality}, {self.chroma}"


@dataclass(frozen=True)
class Degradation:
    """From an HR photo to an LR photo of a quarter of its sides.

    Attributes:
        blur: of the HR photo, before anything else; None for none.
        resampling: filter of the downsampling, one of `RESAMPLINGS`; all are antialiased.
        intermediate: share of the HR photo's sides, between 1/4 and 1, to which it is first resized (bilinear), as messengers
            and web pages do; None for one step.
        photons: Poisson noise, as photons that a white pixel receives in each channel; None for none.
        noise: standard deviation of Gaussian noise in grey levels of 255, independent per pixel and channel.
        sharpening: strength of an unsharp mask of radius 1 px, 1 adding the whole difference to the blurred photo.
        jpeg: compression of the LR photo, None for none.

    Raises:
        ValueError: a value out of its range, or an unknown filter; the message names the known ones.
    """

    blur: Blur | None = None
    resampling: str = "bicubic"
    intermediate: float | None = None
    photons: float | None = None
    noise: float = 0.0
    sharpening: float = 0.0
    jpeg: Jpeg | None = None

    def __post_init__(self) -> None:
        _check_known("resampling", self.resampling, RESAMPLINGS)
        if self.intermediate is not None and not 1 / SCALE <= self.intermediate <= 1:
            raise ValueError(f"an intermediate size of {self.intermediate} of the photo is out of range; give 0.25 to 1")
        if self.photons is not None and self.photons <= 0:
            raise ValueError(f"{self.photons} photons per white pixel are too few; give a number greater than 0")
        for name in ("noise", "sharpening"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; give 0 or more")

    def __call__(self, hr: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Degrades a photo.

        Args:
            hr: uint8 [H,W,3], sides multiples of 4.
            random: source of the noise.

        Returns:
            uint8 [H/4,W/4,3].
        """
        height, width = hr.shape[:2]
        photo = hr if self.blur is None else self.blur(hr)
        if self.intermediate is not None:
            photo = _resized(photo, round(height * self.intermediate), round(width * self.intermediate), "bilinear")
        photo = _resized(photo, height // SCALE, width // SCALE, self.resampling)
        if self.photons is not None or self.noise:
            photo = self._noisy(photo, random)
        if self.sharpening:
            mask = ImageFilter.UnsharpMask(radius=1, percent=round(100 * self.sharpening), threshold=0)
            photo = np.asarray(Image.fromarray(photo).filter(mask))
        return photo if self.jpeg is None else self.jpeg(photo)

    def __str__(self) -> str:
        """The exact definition in words, in the order of the steps."""
        steps = [] if self.blur is None else [str(self.blur)]
        if self.intermediate is not None:
            steps.append(f"bilinear to {self.intermediate:g} of the sides")
        steps.append(f"Pillow {self.resampling} to a quarter")
        if self.photons is not None:
            steps.append(f"Poisson noise of {self.photons:g} photons at white")
        if self.noise:
            steps.append(f"Gaussian noise of {self.noise:g} grey levels")
        if self.sharpening:
            steps.append(f"unsharp mask of radius 1 px and strength {self.sharpening:g}")
        if self.jpeg is not None:
            steps.append(str(self.jpeg))
        return ", ".join(steps)

    def _noisy(self, photo: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        values = photo.astype(np.float32)
        if self.photons is not None:
            photons = np.float32(self.photons / _GRAY_LEVELS)
            values = random.poisson(values * photons).astype(np.float32) / photons
        if self.noise:
            values = values + random.normal(0.0, self.noise, values.shape).astype(np.float32)
        return _rounded(values)


@dataclass(frozen=True)
class Light:
    """Different light and another camera: exposure and white balance act on linear light (sRGB taken as a power of 2.2).

    Attributes:
        exposure: in stops; -1 halves the light.
        white_balance: gains of red, green and blue in linear light.
        gamma: power of the displayed values, in [0, 1]; more than 1 darkens the middle tones.
    """

    exposure: float = 0.0
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gamma: float = 1.0

    def __call__(self, photo: np.ndarray) -> np.ndarray:
        """The photo in that light, of the same shape; what becomes brighter than white is clipped."""
        gains = np.float32(2.0**self.exposure) * np.asarray(self.white_balance, np.float32)
        displayed = np.arange(256, dtype=np.float32)[:, None] / np.float32(_GRAY_LEVELS) * gains ** np.float32(1 / 2.2)
        table = as_uint8(np.clip(displayed, 0.0, 1.0) ** np.float32(self.gamma))
        return np.stack([table[photo[..., channel], channel] for channel in range(3)], axis=-1)


@dataclass(frozen=True)
class ReferenceDegradation:
    """Degradation of a reference photo, which keeps its size. Steps in order, None to skip one."""

    light: Light | None = None
    blur: Blur | None = None
    jpeg: Jpeg | None = None

    def __call__(self, reference: np.ndarray) -> np.ndarray:
        """The degraded reference, uint8 [H,W,3] of the same shape."""
        for step in (self.light, self.blur, self.jpeg):
            reference = reference if step is None else step(reference)
        return reference


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; choose one of {', '.join(known)}")


def _resized(photo: np.ndarray, height: int, width: int, resampling: str) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((width, height), RESAMPLINGS[resampling]))


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0.0, _GRAY_LEVELS)).astype(np.uint8)


DEGRADATIONS = {
    "bicubic": Degradation(),
    "bilinear": Degradation(resampling="bilinear"),
    "area": Degradation(resampling="area"),
    "lanczos": Degradation(resampling="lanczos"),
    "two-step": Degradation(intermediate=0.45),
    "blur": Degradation(blur=Blur(1.5, 1.5)),
    "messenger": Degradation(intermediate=0.45, jpeg=Jpeg(75)),
    # A lens, a sensor that averages over its pixels, and what the camera's own software does.
    "phone": Degradation(
        blur=Blur(0.8, 0.8), resampling="area", photons=2000.0, noise=1.5, sharpening=0.5, jpeg=Jpeg(90, "4:2:0")
    ),
}
_NUMBERED = "jpegQ (Q from 1 to 100, e.g. jpeg75), noiseS (S grey levels, e.g. noise5)"


def degradation_named(name: str) -> Degradation:
    """A degradation that evaluations report by name.

    Args:
        name: a key of `DEGRADATIONS`; "jpegQ" for bicubic downsampling and JPEG of quality Q, 4:2:0; or "noiseS" for bicubic
            downsampling and Gaussian noise of S grey levels.

    Raises:
        ValueError: unknown name (the message lists the known ones), or a quality outside 1 to 100.
    """
    numbered = re.fullmatch(r"(jpeg|noise)(\d+)", name)
    if numbered:
        number = int(numbered[2])
        bicubic = DEGRADATIONS["bicubic"]
        changed = {"jpeg": Jpeg(number)} if numbered[1] == "jpeg" else {"noise": float(number)}
        return dataclasses.replace(bicubic, **changed)
    if name not in DEGRADATIONS:
        raise ValueError(f"unknown degradation {name!r}; choose one of {', '.join(DEGRADATIONS)}, {_NUMBERED}")
    return DEGRADATIONS[name]


def draw_degradation(random: np.random.RandomState, clean_share: float = CLEAN_SHARE) -> Degradation:
    """A degradation for an LR photo.

    Args:
        random: source of numbers; the same state gives the same degradation.
        clean_share: probability of plain bicubic downsampling, in [0, 1].
    """
    if _happens(random, clean_share):
        return Degradation()
    return Degradation(
        blur=_blur(random, _BLUR) if _happens(random, _BLURRED) else None,
        resampling=list(RESAMPLINGS)[random.randint(len(RESAMPLINGS))],
        intermediate=random.uniform(*_INTERMEDIATE) if _happens(random, _TWO_STEP) else None,
        photons=_logarithmic(random, _PHOTONS) if _happens(random, _POISSON) else None,
        noise=random.uniform(*_NOISE) if _happens(random, _NOISY) else 0.0,
        sharpening=random.uniform(*_SHARPENING) if _happens(random, _SHARPENED) else 0.0,
        jpeg=_jpeg(random) if _happens(random, _COMPRESSED) else None,
    )


def draw_reference_degradation(random: np.random.RandomState, clean_share: float = CLEAN_SHARE) -> ReferenceDegradation:
    """A degradation for a reference: other light, slight blur, JPEG. Arguments as of `draw_degradation`."""
    if _happens(random, clean_share):
        return ReferenceDegradation()
    return ReferenceDegradation(
        light=_light(random) if _happens(random, _RELIT) else None,
        blur=_blur(random, _REFERENCE_BLUR) if _happens(random, _REFERENCE_BLURRED) else None,
        jpeg=_jpeg(random) if _happens(random, _REFERENCE_COMPRESSED) else None,
    )


def _blur(random: np.random.RandomState, limits: tuple[float, float]) -> Blur:
    along = random.uniform(*limits)
    if not _happens(random, _ANISOTROPIC):
        return Blur(along, along)
    return Blur(along, random.uniform(*limits), random.uniform(0.0, math.pi))


def _jpeg(random: np.random.RandomState) -> Jpeg:
    lowest, highest = _QUALITY
    return Jpeg(random.randint(lowest, highest + 1), "4:4:4" if _happens(random, _FULL_CHROMA) else "4:2:0")


def _light(random: np.random.RandomState) -> Light:
    gains = (_logarithmic(random, _WHITE_BALANCE), 1.0, _logarithmic(random, _WHITE_BALANCE))
    return Light(random.uniform(*_EXPOSURE), gains, _logarithmic(random, _GAMMA))


def _happens(random: np.random.RandomState, share: float) -> bool:
    return random.random_sample() < share


def _logarithmic(random: np.random.RandomState, limits: tuple[float, float]) -> float:
    lowest, highest = limits
    return math.exp(random.uniform(math.log(lowest), math.log(highest)))
