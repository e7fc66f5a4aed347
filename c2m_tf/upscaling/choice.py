"""Which preset a photo needs: the one for clean photos, or the one for degraded ones, by what its file and pixels say."""

from typing import NamedTuple

from c2m_tf.photos.quality import PhotoQuality

AUTO = "auto"  # in place of a model's name
CLEAN = "light"
DEGRADED = "light-photo"

# A photo is degraded if one of these says so; how often they are right is in docs/evaluation.md. The scores' thresholds are
# above 0 so that of clean photos at most about 5 % are taken for degraded.
MIN_JPEG_QUALITY = 95
MAX_NOISE = 2.2  # grey levels of 255; at 2 the preset for clean photos is still the better one
MAX_BLURRED = 0.1
MAX_AVERAGED = 0.2


class Choice(NamedTuple):
    """A preset, and why."""

    preset: str
    reason: str


def choose(quality: PhotoQuality) -> Choice:
    """The preset for a photo of that quality."""
    found = []
    if quality.jpeg is not None and quality.jpeg < MIN_JPEG_QUALITY:
        found.append(f"JPEG quality {quality.jpeg}")
    if quality.noise is not None and quality.noise > MAX_NOISE:
        found.append(f"noise of {quality.noise:.1f} grey levels")
    if not found and quality.blurred is not None and quality.blurred > MAX_BLURRED:  # JPEG and noise disturb the spectrum
        found.append("blur")
    if not found and quality.averaged is not None and quality.averaged > MAX_AVERAGED:
        found.append("downsampling by averaging")
    return Choice(DEGRADED, ", ".join(found)) if found else Choice(CLEAN, "the photo looks clean")
