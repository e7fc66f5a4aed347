"""The list of photos that anyone may train on."""

import csv
from pathlib import Path

import c2m_tf.training

FREE = {"CC0-1.0", "CC-BY-4.0", "MIT", "BSD-2-Clause"}


def test_every_photo_has_a_source_and_a_free_licence():
    file = Path(c2m_tf.training.__file__).parent / "free_photos.tsv"
    photos = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines(), delimiter="\t"))
    assert len({photo["photo"] for photo in photos}) == len(photos) > 0
    for photo in photos:
        assert photo["repository"].startswith("https://")
        assert photo["path"]
        assert photo["licence"] in FREE
        # The others ask for credit.
        assert photo["author"] or photo["licence"] == "CC0-1.0", photo["photo"]
