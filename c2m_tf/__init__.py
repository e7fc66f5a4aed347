"""C2-Matching in Keras 3: 4x super-resolution of a photo with the help of a reference photo of the same scene.

from c2m_tf import Upscaler
Upscaler.from_preset("auto")("lr.jpg", "reference.jpg").image.save("sr.png")
"""

from typing import TYPE_CHECKING, Any

from c2m_tf.custom_objects import register_once_keras_is_imported
from c2m_tf.version import __version__

if TYPE_CHECKING:
    from c2m_tf.network.mobile import Mobile
    from c2m_tf.network.model import C2Matching
    from c2m_tf.photos.image import Image
    from c2m_tf.upscaling.upscaler import Upscaler, UpscaleResult

__all__ = ["C2Matching", "Image", "Mobile", "UpscaleResult", "Upscaler", "__version__"]

register_once_keras_is_imported()


def __getattr__(name: str) -> Any:
    # Loaded on first use, so that reading photos or `c2m-tf --help` need not wait for Keras and its backend.
    if name == "C2Matching":
        from c2m_tf.network.model import C2Matching

        return C2Matching
    if name == "Mobile":
        from c2m_tf.network.mobile import Mobile

        return Mobile
    if name == "Image":
        from c2m_tf.photos.image import Image

        return Image
    if name in ("UpscaleResult", "Upscaler"):
        from c2m_tf.upscaling import upscaler

        return getattr(upscaler, name)
    raise AttributeError(f"module 'c2m_tf' has no attribute {name!r}")
