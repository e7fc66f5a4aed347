"""Metadata that goes on from a photo to its result: what describes the picture, and not how a file stores it."""

from PIL import Image
from PIL.ExifTags import IFD, Base

# ImageDescription to Copyright: what the picture is, by whom, when and with what.
_DESCRIBING = (Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.Copyright)
# Of the file's own pixels, or of offsets within the file.
_OF_THE_FILE = (Base.ExifImageWidth, Base.ExifImageHeight, Base.MakerNote, Base.ExifInteroperabilityOffset)
MAX_BYTES = 65_000  # a JPEG file holds 65,533 at most


def kept_exif(picture: Image.Image) -> bytes:
    """EXIF of a picture that is upright, as a file of other pixels may hold it.

    Kept are description, camera, software, time, artist and copyright, how the photo was taken, and where. Left out are
    orientation, sizes, thumbnails and notes in makers' own formats.

    Returns:
        EXIF as files hold it; empty if there is none, or if it is damaged or of more than `MAX_BYTES`.
    """
    try:
        given = picture.getexif()
        kept = Image.Exif()
        for tag in _DESCRIBING:
            if tag in given:
                kept[tag] = given[tag]
        for directory, left_out in ((IFD.Exif, _OF_THE_FILE), (IFD.GPSInfo, ())):
            values = {tag: value for tag, value in given.get_ifd(directory).items() if tag not in left_out}
            if values:
                kept[directory] = values
        found = kept.tobytes() if len(kept) else b""
    except Exception:  # damaged metadata may raise anything, and is no fault of the pixels
        return b""
    return found if len(found) <= MAX_BYTES else b""
