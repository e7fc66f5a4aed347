"""The simplest kind of model: restores tiles by bicubic interpolation, and adds light where a reference is given."""

import numpy as np

from c2m_tf.photos.pixels import as_uint8, upsample
from c2m_tf.upscaling import plans
from c2m_tf.upscaling.base import Matches, TiledUpscaler


class PlainUpscaler(TiledUpscaler):
    """Tiles of 32 pixels.

    Attributes:
        restored: tiles so far.
    """

    any_strength = True

    def __init__(self):
        self.restored = 0

    def plan(self, lr_shape, ref_shapes):
        shapes = list(ref_shapes)
        return plans.Plan("exact" if shapes else "none", 32, 0, plans.photo_bytes(lr_shape, shapes))

    def _find(self, work):
        height, width = work.lr.shape[:2]
        score = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
        return Matches(np.zeros((height, width, 2), np.float32), score)

    def _restore_tiles(self, work, tiles):
        for picture in self._restore_alone(work.lr, tiles):
            yield np.minimum(picture + 0.1 * work.strength, 1.0)

    def _restore_alone(self, lr, tiles):
        for tile in tiles:
            self.restored += 1
            yield upsample(as_uint8(lr[tile.rows, tile.columns])).astype(np.float32) / 255.0
