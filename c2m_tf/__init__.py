"""C2-Matching in Keras 3: 4x super-resolution of a photo with the help of a reference photo of the same scene.

from c2m_tf import Upscaler
Upscaler.from_preset("auto")("lr.jpg", "reference.jpg").image.save("sr.png")
"""

from typing import TYPE_CHECKING, Any

import lazy_loader

from c2m_tf.startup import import_keras, register_once_keras_is_imported

if TYPE_CHECKING:
    from c2m_tf.network.mobile import Mobile
    from c2m_tf.network.model import C2Matching
    from c2m_tf.photos.image import Image
    from c2m_tf.upscaling.album import Album
    from c2m_tf.upscaling.upscaler import Upscaler, UpscaleResult

__version__ = "0.1.0"  # read by the build, which imports nothing

# Loaded on first use, so that reading photos or `c2m-tf --help` need not wait for Keras and its backend; known to `dir` before.
_load, __dir__, _ = lazy_loader.attach(
    __name__,
    submodules=["presets"],
    submod_attrs={
        "network.mobile": ["Mobile"],
        "network.model": ["C2Matching"],
        "photos.image": ["Image"],
        "upscaling.album": ["Album"],
        "upscaling.upscaler": ["UpscaleResult", "Upscaler"],
    },
)
__all__ = ["Album", "C2Matching", "Image", "Mobile", "UpscaleResult", "Upscaler", "__version__", "presets"]

register_once_keras_is_imported()


def __getattr__(name: str) -> Any:
    if name in ("C2Matching", "Mobile"):  # which import Keras
        import_keras()
    return _load(name)
