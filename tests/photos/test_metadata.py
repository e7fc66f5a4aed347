"""EXIF, XMP and IPTC go on from a photo to its result, without what describes the old file."""

import datetime
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from c2m_tf.photos import formats, images
from c2m_tf.photos.metadata import MAX_BYTES, Signer, photoshop_resource


def given():
    exif = Image.Exif()
    exif[Base.Make], exif[Base.DateTime], exif[Base.Orientation] = "C2M", "2026:11:30 08:00:00", 6
    exif[IFD.Exif] = {Base.FNumber: 2.8, Base.ExifImageWidth: 30, Base.MakerNote: b"private"}
    exif[IFD.GPSInfo] = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (50.0, 3.0, 0.5)}
    return exif


XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:note="http://ns.adobe.com/xmp/note/" tiff:Orientation="6" tiff:ImageWidth="30" xmp:Rating="4" note:HasExtendedXMP="A0">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Hütte</rdf:li></rdf:Alt></dc:title><xmp:Thumbnails>private</xmp:Thumbnails>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()
CITY = b"\x1c\x02\x5a\0\x06Aachen"
PREVIEW = b"\x1c\x02\xca\0\x07private"


def photo(exif=None, file_format="JPEG", xmp=b"", iptc=b""):
    file = io.BytesIO()
    content = b"Photoshop 3.0\0" + photoshop_resource(iptc)
    extra = {"extra": b"\xff\xed" + struct.pack(">H", len(content) + 2) + content} if iptc else {}
    exif = {} if exif is None else {"exif": exif}
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(file, file_format, xmp=xmp, **exif, **extra)
    return images.read(file.getvalue())


@pytest.mark.parametrize("suffix", [suffix for suffix, name in formats.SUFFIXES.items() if formats.WRITTEN[name].metadata])
def test_what_says_something_of_the_picture_is_kept_in_every_format(tmp_path, suffix):
    photo(given()).save(tmp_path / f"sr{suffix}")
    with Image.open(tmp_path / f"sr{suffix}") as written:
        exif = written.getexif()
        details, place = exif.get_ifd(IFD.Exif), exif.get_ifd(IFD.GPSInfo)
        assert written.size == (20, 30)
    assert (exif[Base.Make], exif[Base.DateTime]) == ("C2M", "2026:11:30 08:00:00")
    assert exif.get(Base.Orientation, 1) == 1
    assert float(details[Base.FNumber]) == pytest.approx(2.8)
    assert not {Base.ExifImageWidth, Base.MakerNote} & set(details)
    assert place[GPS.GPSLatitudeRef] == "N"
    assert [float(value) for value in place[GPS.GPSLatitude]] == [50.0, 3.0, 0.5]
    assert images.read(tmp_path / f"sr{suffix}").metadata.exif == photo(given()).metadata.exif


def test_a_photo_that_says_nothing_gives_a_file_without_metadata(tmp_path):
    images.Image(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    assert b"eXIf" not in (tmp_path / "a.png").read_bytes()
    only_turned = Image.Exif()
    only_turned[Base.Orientation] = 6
    assert photo(only_turned).metadata.exif == b""


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0II*\0\xff\xff\0\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x87\x69\0\x04\0\0\0\x01\0\0\xff\xff"]
)
def test_damaged_metadata_costs_nothing_but_itself(exif):
    assert photo(exif).rgb.shape == (20, 30, 3)


def test_metadata_that_a_jpeg_file_could_not_hold_is_left_out():
    exif = given()
    exif[Base.ImageDescription] = "x" * MAX_BYTES
    assert photo(exif, "PNG").metadata.exif == b""


@pytest.mark.parametrize(
    ("suffix", "bits"),
    [(suffix, bits) for suffix, name in formats.SUFFIXES.items() for bits in (8, 16) if bits <= formats.WRITTEN[name].bits],
)
def test_titles_and_places_are_kept_in_every_format_that_holds_them(tmp_path, suffix, bits):
    holds = formats.WRITTEN[formats.SUFFIXES[suffix]]
    source = photo(given(), xmp=XMP, iptc=CITY + PREVIEW)
    assert source.rgb.shape == (30, 20, 3)
    source.save(tmp_path / f"sr{suffix}", bits=bits)
    found = images.read(tmp_path / f"sr{suffix}")
    assert found.rgb.shape == (30, 20, 3)
    assert found.metadata == images.Image(source.rgb, metadata=found.metadata).metadata
    for kind, value in source.metadata._asdict().items():
        assert getattr(found.metadata, kind) == (value if kind in holds.metadata else b"")
    content = (tmp_path / f"sr{suffix}").read_bytes()
    assert b"private" not in content
    assert (b"Rating" in content) == ("xmp" in holds.metadata)

    source.save(tmp_path / f"bare{suffix}", bits=bits, metadata=False)
    assert not any(images.read(tmp_path / f"bare{suffix}").metadata)


def test_xmp_says_what_it_said_but_nothing_of_the_old_file():
    found = photo(xmp=XMP).metadata.xmp.decode()
    assert "Hütte" in found
    assert 'xmp:Rating="4"' in found
    for left_out in ("Orientation=", "ImageWidth=", "HasExtendedXMP=", "Thumbnails"):
        assert left_out not in found
    only_turned = XMP.replace(b'xmp:Rating="4"', b"").replace(b"dc:title", b"tiff:Orientation")
    assert photo(xmp=only_turned).metadata.xmp == b""


def test_iptc_is_kept_up_to_what_is_damaged():
    assert photo(iptc=CITY + PREVIEW + CITY).metadata.iptc == 2 * CITY
    assert photo(iptc=CITY + CITY[:-1]).metadata.iptc == CITY
    assert photo(iptc=b"no IPTC").metadata.iptc == b""


@pytest.mark.parametrize(
    "xmp",
    [
        XMP[:200],
        XMP.replace(b"</dc:title>", b""),
        XMP.replace("ü".encode(), b"\xff"),
        b'<!DOCTYPE a [<!ENTITY b "bbbb">]>' + XMP.replace(b"private", b"&b;"),
        XMP.replace(b"private", b"x" * MAX_BYTES),
    ],
    ids=["cut", "not closed", "no UTF-8", "entities", "large"],
)
def test_damaged_xmp_costs_nothing_but_itself(xmp):
    found = photo(file_format="PNG", xmp=b"") if len(xmp) > MAX_BYTES else photo(xmp=xmp)
    assert found.metadata.xmp == b""
    assert found.rgb.shape[2] == 3


@pytest.mark.parametrize("file_format", ["AVIF", "HEIF"])
def test_phones_formats_are_read_with_all_of_it(file_format):
    if file_format not in formats.READ:
        pytest.skip(f"{file_format} is not read here")
    found = photo(given(), file_format, XMP)
    exif = Image.Exif()
    exif.load(found.metadata.exif)
    assert exif[Base.Make] == "C2M"
    assert Base.Orientation not in exif
    assert exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] == "N"
    assert b"Rating" in found.metadata.xmp
    assert b"Orientation=" not in found.metadata.xmp


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    """A PEM file of a certificate, that of who vouches for it, and its key."""
    pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("root", "signer")]
    unused = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"]
    usage = dict.fromkeys(unused, False)
    chain = b""
    for number, (name, public) in enumerate(zip(names, (root, key), strict=True)):
        start = datetime.datetime(2020, 1, 1)
        made = x509.CertificateBuilder(names[0], name, public.public_key(), number + 1, start, start.replace(year=2040))
        is_root = number == 0
        signs = x509.KeyUsage(digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, **usage)
        made = made.add_extension(signs, True).add_extension(x509.BasicConstraints(is_root, None), True)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public.public_key()), False)
        if not is_root:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        chain = made.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM) + chain
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path_factory.mktemp("credentials") / "own.pem"
    path.write_bytes(chain + key.private_bytes(*pem))
    return path


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_signed_results_name_their_photo_and_references_as_ingredients(tmp_path, rng, credentials, suffix):
    import c2pa

    for name in (f"sr{suffix}", "lr.bmp", "ref.jpg"):
        images.write(tmp_path / name, rng.random((24, 32, 3)))
    before = images.read(tmp_path / f"sr{suffix}").rgb
    Signer(credentials).sign(tmp_path / f"sr{suffix}", tmp_path / "lr.bmp", [tmp_path / "ref.jpg"])
    np.testing.assert_array_equal(images.read(tmp_path / f"sr{suffix}").rgb, before)
    with c2pa.Reader(tmp_path / f"sr{suffix}") as reader:
        report = json.loads(reader.json())
    assert report["validation_state"] == "Valid"
    manifest = report["manifests"][report["active_manifest"]]
    assert manifest["claim_generator_info"][0]["name"] == "c2m-tf"
    found = [(ingredient["title"], ingredient["relationship"]) for ingredient in manifest["ingredients"]]
    assert found == [("lr.bmp", "parentOf"), ("ref.jpg", "componentOf")]
    assert "compositeWithTrainedAlgorithmicMedia" in json.dumps(manifest["assertions"])


def test_certificates_that_do_not_fit_are_refused_before_work(tmp_path, credentials):
    (tmp_path / "key.pem").write_text(credentials.read_text().rpartition("-----END CERTIFICATE-----")[2])
    with pytest.raises(images.ImageError, match=r"key.pem holds no certificate and key that sign by C2PA: "):
        Signer(tmp_path / "key.pem")
    with pytest.raises(images.ImageError, match=r"cannot read .*none.pem"):
        Signer(tmp_path / "none.pem")
    with pytest.raises(images.ImageError, match=r"sr.bmp: such files hold no signature; write PNG, JPEG, WebP or TIFF"):
        Signer(credentials).check("sr.bmp")
