"""Metadata that goes on from a photo to its result: what describes the picture, and not how a file stores it; and what results
say of their origin, in XMP and signed by C2PA.

EXIF, XMP and IPTC (IIM) are read from every format that Pillow reads them from. Sources: Exif 3.0 (CIPA DC-008, 2023); XMP
specification, part 1 (ISO 16684-1:2019); IPTC-NAA Information Interchange Model 4.2 (1999); Adobe Photoshop file formats
(2019), image resources; C2PA technical specification 2.2 (2025).
"""

import contextlib
import io
import json
import os
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.dom import XMLNS_NAMESPACE, minidom

from PIL import Image
from PIL.ExifTags import IFD, Base

from c2m_tf import __version__
from c2m_tf.photos.files import replacing
from c2m_tf.photos.formats import ImageError
from c2m_tf.startup import one_line, printable

# ImageDescription to Copyright: what the picture is, by whom, when and with what.
_DESCRIBING = (Base.ImageDescription, Base.Make, Base.Model, Base.Software, Base.DateTime, Base.Artist, Base.Copyright)
# Of the file's own pixels, or of offsets within the file.
_OF_THE_FILE = (Base.ExifImageWidth, Base.ExifImageHeight, Base.MakerNote, Base.ExifInteroperabilityOffset)
MAX_BYTES = 65_000  # of each kind; a JPEG file holds 65,533 with their headers at most, and XMP's header is the longest

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
# Properties of XMP that speak of the file's own pixels, of other parts of the file, or of who vouches for it.
_XMP_OF_THE_FILE = {
    ("http://ns.adobe.com/tiff/1.0/", name)
    for name in ("Orientation", "ImageWidth", "ImageLength", "BitsPerSample", "Compression", "PhotometricInterpretation")
} | {
    ("http://ns.adobe.com/exif/1.0/", "PixelXDimension"),
    ("http://ns.adobe.com/exif/1.0/", "PixelYDimension"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
    ("http://purl.org/dc/terms/", "provenance"),
    ("http://iptc.org/std/Iptc4xmpExt/2008-02-29/", "DigitalSourceType"),  # results say their own
    ("http://ns.adobe.com/xap/1.0/mm/", "Ingredients"),
}
# Depth and gain maps, films and sizes of panoramas: of what is appended to the file, or in its pixels.
_XMP_APPENDED = (
    "http://ns.google.com/photos/",
    "http://ns.adobe.com/hdr-gain-map/",
    "http://ns.apple.com/HDRGainMap/",
    "http://ns.apple.com/pixeldatainfo/",
)
_EMPTY_XMP = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta>'.encode()
_ORIGIN = {
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/",
    "stRef": "http://ns.adobe.com/xap/1.0/sType/ResourceRef#",
}
_MADE_BY_NETWORKS = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_PREVIEWS = {(2, 200), (2, 201), (2, 202)}  # (record, data set) of IPTC
_IPTC_RESOURCE, _IPTC_TAG = 0x0404, 33723  # in Photoshop's resources, in TIFF
_LAST_UNTRANSPOSED = 4  # of the values of EXIF's orientation
PNG_IPTC = "Raw profile type iptc"  # keyword of a text, as ImageMagick and ExifTool write and read it


class Metadata(NamedTuple):
    """What files hold beside pixels; each is empty if there is nothing.

    Attributes:
        exif: as files hold it, with or without its header.
        xmp: a packet, UTF-8.
        iptc: data sets, as they stand in Photoshop's resource 0x0404 and in TIFF's tag 33723.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""


NO_METADATA = Metadata()


def kept_metadata(picture: Image.Image) -> Metadata:
    """What goes on of a picture that is upright, as a file of other pixels may hold it.

    Kept is all that describes the picture: camera, software, times, authors and rights, how and where it was taken, titles,
    keywords, ratings. Left out are orientation, sizes, thumbnails, notes in makers' own formats, and what speaks of further
    parts of the file; and each kind whole that is damaged, or of more than `MAX_BYTES`.
    """
    return Metadata(_kept_exif(picture), _kept_xmp(picture.info.get("xmp", b"")), _kept_iptc(_iptc_of(picture)))


def transposes(picture: Image.Image) -> bool:
    """Whether orientation makes width and height change places, as far as the header says; nothing is decoded."""
    if picture.format == "PNG" and not {"exif", "xmp"} & set(picture.info):
        return False  # Pillow would decode the pixels to look behind them
    try:
        return picture.getexif().get(Base.Orientation, 1) > _LAST_UNTRANSPOSED
    except Exception:  # as below
        return False


def with_origin(metadata: Metadata, references: Sequence[str]) -> Metadata:
    """The metadata of a result: besides what is there, that networks made it, and of which references.

    `Iptc4xmpExt:DigitalSourceType` says the former as IPTC's vocabulary puts it, `xmpMM:Ingredients` names the latter.

    Args:
        metadata: of the photo.
        references: names of files.
    """
    packet = metadata.xmp or _EMPTY_XMP
    document: Any = minidom.parseString(re.search(rb"<(x:xmpmeta|rdf:RDF)\b.*</\1\s*>", packet, re.DOTALL)[0])  # type: ignore[index]
    root = document.documentElement
    description = document.createElementNS(_RDF, "rdf:Description")
    namespaces = {"rdf": _RDF, **_ORIGIN}
    for prefix, namespace in namespaces.items():
        description.setAttribute(f"xmlns:{prefix}", namespace)
    description.setAttribute("rdf:about", "")
    description.setAttribute("Iptc4xmpExt:DigitalSourceType", _MADE_BY_NETWORKS)
    if references:
        bag = document.createElement("rdf:Bag")
        for name in references:
            item = document.createElement("rdf:li")
            item.setAttribute("stRef:filePath", printable(name))
            bag.appendChild(item)
        description.appendChild(document.createElement("xmpMM:Ingredients")).appendChild(bag)
    rdf = root if root.localName == "RDF" else root.getElementsByTagNameNS(_RDF, "RDF")[0]
    rdf.appendChild(description)
    packet = _packet(root)
    return metadata._replace(xmp=packet) if len(packet) <= MAX_BYTES else metadata


class Signer:
    """Signs results: a C2PA manifest says that networks made them, from which photo and which references.

    Args:
        credentials: PEM file of a certificate, those that vouch for it, in this order, and its private key.

    Raises:
        ImageError: the file cannot be read, or makes no signature.
        ImportError: c2pa-python is not installed.
    """

    def __init__(self, credentials: str | os.PathLike) -> None:
        try:
            import c2pa
        except ImportError as error:
            raise ImportError("signing needs: pip install 'c2m-tf[c2pa]'") from error
        self._c2pa = c2pa
        try:
            pem = Path(credentials).read_bytes()
        except OSError as error:
            raise ImageError(f"cannot read {credentials}: {error.strerror or error}") from error
        self._pair = [
            b"\n".join(re.findall(rb"-----BEGIN %b-----.*?-----END %b-----" % (kind, kind), pem, re.DOTALL)) + b"\n"
            for kind in (b"CERTIFICATE", b"[A-Z ]*PRIVATE KEY")
        ]
        picture = io.BytesIO()
        Image.new("RGB", (8, 8)).save(picture, "PNG")
        reasons = []
        for self._algorithm in ("es256", "ps256", "ed25519", "es384", "es512", "ps384", "ps512"):  # the key's kind decides
            try:
                self._signed("image/png", picture, io.BytesIO(), [])
                return
            except c2pa.C2paError as error:
                reasons.append(one_line(error))
        raise ImageError(f"{credentials} holds no certificate and key that sign by C2PA: {reasons[0]}")

    def check(self, path: str | os.PathLike) -> None:
        """Raises ImageError if files of that suffix hold no signature."""
        if _mime(path) not in self._c2pa.Builder.get_supported_mime_types():
            raise ImageError(f"{path}: such files hold no signature; write PNG, JPEG, WebP or TIFF")

    def sign(self, path: str | os.PathLike, lr: str | os.PathLike, references: Sequence[str | os.PathLike] = ()) -> None:
        """Signs a result in place, with the photo as its parent and the references as further ingredients.

        Raises:
            ImageError: it cannot be signed or written.
        """
        self.check(path)
        try:
            with Path(path).open("rb") as source, replacing(path) as temporary, temporary.open("w+b") as target:
                self._signed(_mime(path), source, target, [lr, *references])
        except (self._c2pa.C2paError, OSError) as error:
            raise ImageError(f"cannot sign {path}: {one_line(error)}") from error

    def _signed(self, mime: str, source: BinaryIO, target: BinaryIO, ingredients: Sequence[str | os.PathLike]) -> None:
        c2pa = self._c2pa
        actions = [
            {"action": "c2pa.placed" if number else "c2pa.opened", "parameters": {"ingredientIds": [str(number)]}}
            for number in range(len(ingredients))
        ]
        made = {
            "action": "c2pa.edited" if ingredients else "c2pa.created",
            "digitalSourceType": _MADE_BY_NETWORKS,
            "description": "super-resolution",
        }
        manifest = {
            "claim_generator_info": [{"name": "c2m-tf", "version": __version__}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [*actions, made]}}],
        }
        builder = c2pa.Builder(json.dumps(manifest))
        for number, path in enumerate(ingredients):
            relation = "componentOf" if number else "parentOf"
            described = {"title": printable(Path(path).name), "relationship": relation, "label": str(number)}
            with Path(path).open("rb") as file:
                builder.add_ingredient(described, _mime(path), file)
        info = c2pa.C2paSignerInfo(self._algorithm, *self._pair, None)
        builder.sign(c2pa.Signer.from_info(info), mime, source, target)


def _mime(path: str | os.PathLike) -> str:
    Image.init()
    return Image.MIME.get(Image.EXTENSION.get(Path(path).suffix.lower(), ""), "application/octet-stream")


def photoshop_resource(iptc: bytes) -> bytes:
    """IPTC as a resource of Photoshop's, as JPEG and PNG files hold it."""
    return b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)


def _kept_exif(picture: Image.Image) -> bytes:
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


def _kept_xmp(packet: bytes) -> bytes:
    try:
        # From the root element on: no declaration of entities, which could unpack to any size, or of another encoding.
        found = re.search(rb"<(x:xmpmeta|rdf:RDF)\b.*</\1\s*>", packet, re.DOTALL)
        if found is None or len(found[0]) > MAX_BYTES:
            return b""
        root: Any = minidom.parseString(found[0]).documentElement
        for description in root.getElementsByTagNameNS(_RDF, "Description"):
            for name in [name for name in description.attributes.keysNS() if _is_left_out(*name)]:
                description.removeAttributeNS(*name)
            for child in list(description.childNodes):
                if child.nodeType == child.ELEMENT_NODE and _is_left_out(child.namespaceURI, child.localName):
                    description.removeChild(child)
        if not any(_says_something(description) for description in root.getElementsByTagNameNS(_RDF, "Description")):
            return b""
        kept = _packet(root)
    except Exception:  # as above
        return b""
    return kept if len(kept) <= MAX_BYTES else b""


def _is_left_out(namespace: str | None, name: str) -> bool:
    return (namespace, name) in _XMP_OF_THE_FILE or str(namespace).startswith(_XMP_APPENDED)


def _says_something(description: Any) -> bool:
    """Whether a description has a property, and not only names and namespaces."""
    plain = (_RDF, XMLNS_NAMESPACE)
    properties = [namespace for namespace, _ in description.attributes.keysNS() if namespace not in plain]
    return bool(properties) or any(child.nodeType == child.ELEMENT_NODE for child in description.childNodes)


def _packet(root: Any) -> bytes:
    """A packet of a document whose root that is."""
    head, tail = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', '<?xpacket end="w"?>'
    return f"{head}{root.toxml()}{tail}".encode()


def _iptc_of(picture: Image.Image) -> bytes:
    """Data sets as a file holds them, wherever its format does; empty if there are none."""
    with contextlib.suppress(Exception):  # as above
        if _IPTC_RESOURCE in picture.info.get("photoshop", {}):
            return picture.info["photoshop"][_IPTC_RESOURCE]
        tags: Any = getattr(picture, "tag_v2", {})
        if _IPTC_TAG in tags:
            found = tags[_IPTC_TAG]  # bytes, or of some writers numbers of four bytes
            found = found if isinstance(found, tuple) else (found,)
            numbers = struct.Struct(f"{'<' if tags.prefix == b'II' else '>'}I")
            return b"".join(part if isinstance(part, bytes) else numbers.pack(part) for part in found)
        kind, _, *digits = picture.info.get(PNG_IPTC, "none 0").split()
        if kind == "iptc":
            profile = bytes.fromhex("".join(digits))
            return profile if profile[:1] == b"\x1c" else next(_resources(profile), b"")
    return b""


def _resources(profile: bytes) -> Iterator[bytes]:
    """IPTC in resources of Photoshop's."""
    place = 0
    while profile[place : place + 4] == b"8BIM":
        (kind,) = struct.unpack_from(">H", profile, place + 4)
        place += 6 + (profile[place + 6] // 2 + 1) * 2  # past the name, whose length is made even
        (size,) = struct.unpack_from(">I", profile, place)
        if kind == _IPTC_RESOURCE:
            yield profile[place + 4 : place + 4 + size]
        place += 4 + size + size % 2


def _kept_iptc(given: bytes) -> bytes:
    """Data sets without previews, up to the first that is damaged."""
    kept, place = [], 0
    while isinstance(given, bytes) and place + 5 <= len(given) and given[place] == 0x1C:
        start, (record, data_set, size) = place, struct.unpack_from(">BBH", given, place + 1)
        place += 5
        if size & 0x8000:  # the number of bytes of the size that follows
            count = size & 0x7FFF
            size = int.from_bytes(given[place : place + count], "big")
            place += count
        place += size
        if place <= len(given) and (record, data_set) not in _PREVIEWS:
            kept.append(given[start:place])
    found = b"".join(kept)
    return found if len(found) <= MAX_BYTES else b""
