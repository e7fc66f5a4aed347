"""Geometric self-ensemble: a photo is restored in up to eight orientations, and the results are averaged.

A network is not quite equivariant: a mirrored photo gives another mirrored result, and above all other matches where several
places of a reference fit about equally well. The mean of the results has less of both errors. Source: "Seven Ways to Improve
Example-Based Single Image Super Resolution" (Timofte et al., CVPR 2016), section 3.5; "EDSR+" (Lim et al., CVPRW 2017).
"""

from collections.abc import Sequence

from c2m_tf.photos.images import SCALE
from c2m_tf.photos.orientation import Orientation

SIZES = (1, 2, 4, 8)
# An ensemble takes the first of these. The second is turned by 180 degrees, which moves a photo on the matching's grid along
# both axes; each size is a group, so that a photo turned by one of its orientations gives the turned result.
ORIENTATIONS = tuple(
    Orientation(mirrored, upturned, transposed)
    for transposed in (False, True)
    for mirrored, upturned in ((False, False), (True, True), (True, False), (False, True))
)

_BYTES_PER_TURNED_PIXEL = 12  # float32 RGB
_BYTES_PER_MEAN_PIXEL = 12


def check_ensemble(ensemble: int) -> None:
    """Raises ValueError if that is no number of orientations, one of `SIZES`."""
    if ensemble not in SIZES:
        raise ValueError(f"ensemble {ensemble} is no number of orientations; choose one of {', '.join(map(str, SIZES))}")


def ensemble_bytes(ensemble: int, lr_shape: Sequence[int], ref_shapes: Sequence[Sequence[int]]) -> int:
    """What an ensemble needs beside one orientation: turned copies of the photos [h,w,...], and the sum of the results."""
    if ensemble == 1:
        return 0
    given = sum(shape[0] * shape[1] for shape in (lr_shape, *ref_shapes))
    return given * _BYTES_PER_TURNED_PIXEL + lr_shape[0] * lr_shape[1] * SCALE**2 * _BYTES_PER_MEAN_PIXEL
