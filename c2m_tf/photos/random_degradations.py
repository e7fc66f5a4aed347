"""Degradations drawn at random, for training: half of the samples clean, the others like photos in everyday use.

    random = np.random.RandomState(7)
    lr = draw_degradation(random)(hr, random)
    reference = draw_reference_degradation(random)(reference)

Clean means Pillow's bicubic for LR photos, the protocol of the field, and the photo itself for references. The steps of the
others are drawn independently, so that every subset of steps occurs.
"""

import math

import numpy as np

from c2m_tf.photos.degradations import RESAMPLINGS, Blur, Degradation, Jpeg, Light, ReferenceDegradation

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


def _blur(random, limits):
    along = random.uniform(*limits)
    if not _happens(random, _ANISOTROPIC):
        return Blur(along, along)
    return Blur(along, random.uniform(*limits), random.uniform(0.0, math.pi))


def _jpeg(random):
    lowest, highest = _QUALITY
    return Jpeg(random.randint(lowest, highest + 1), "4:4:4" if _happens(random, _FULL_CHROMA) else "4:2:0")


def _light(random):
    gains = (_logarithmic(random, _WHITE_BALANCE), 1.0, _logarithmic(random, _WHITE_BALANCE))
    return Light(random.uniform(*_EXPOSURE), gains, _logarithmic(random, _GAMMA))


def _happens(random, share):
    return random.random_sample() < share


def _logarithmic(random, limits):
    return math.exp(random.uniform(*(math.log(limit) for limit in limits)))
