"""C2-Matching in Keras 3: 4x super-resolution of a photo with the help of a reference photo of the same scene."""

from c2m_tf.model import C2Matching
from c2m_tf.version import __version__


__all__ = ["C2Matching", "__version__"]
