"""Draws the app's screen in a browser from the layouts, drawables, strings and colours, with real pictures.

    PYTHONPATH=. python android_demo/ci/screens.py FOLDER

Writes FOLDER/screens.html and, where Chromium is, FOLDER/screens.png. FOLDER holds the model, as ci/check.sh leaves it in
ci/.build: it upscales a photo that ships with scikit-image, which gives the picture that the app would give. The time is that
of this computer. It is a drawing, not a screenshot of a phone; Roboto, if it is installed, makes it look more like one.
"""

import base64
import shutil
import subprocess
import sys
import time
from pathlib import Path

import skimage
from layout_html import Html
from PIL import Image

from c2m_tf import Upscaler
from c2m_tf.evaluation.demo import other_view
from c2m_tf.photos import images

MODEL = "c2m_mobile_int8.tflite"
STYLE = Path(__file__).with_name("screens.css").read_text(encoding="utf-8")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
INSETS = {"paddingTop": "36dp", "paddingBottom": "40dp", "paddingStart": "@dimen/edge", "paddingEnd": "@dimen/edge"}
HANDLE = (  # as CompareView draws it
    '<svg class="handle" width="40" height="40"><circle cx="20" cy="20" r="20" fill="#fff"/><path fill="none" stroke="#000" '
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round" d="M16,15l-5,5l5,5M24,15l5,5l-5,5"/></svg>'
)
GONE, SHOWN = {"visibility": "gone"}, {"visibility": "visible"}
CHOSEN = {"hint": GONE, "lr_text": GONE, "lr_label": SHOWN, "reference_text": GONE, "reference_label": SHOWN}


def photos(folder: Path) -> float:
    """Writes screen_lr.png, screen_ref.png and the model's result, screen_sr.png; returns its seconds, the least of three."""
    hr = images.crop_to_multiple(skimage.data.coffee())
    lr, reference = images.downsample(hr)[4:100, 34:130], other_view(hr)
    upscaler = Upscaler.from_preset(folder / MODEL)
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        sr = images.as_uint8(upscaler(lr, reference).image.rgb)
        seconds.append(time.monotonic() - began)
    for name, pixels in (("lr", lr), ("ref", reference), ("sr", sr)):
        images.write(folder / f"screen_{name}.png", pixels)
    return min(seconds)


def picture(path: Path, fit: str = "cover") -> str:
    """A photo that fills its place or fits into it."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img class="photo" style="object-fit: {fit}" src="data:image/png;base64,{data}">'


def phone(state: str, night: bool, folder: Path, seconds: float) -> str:
    """One phone in one state: "choosing", "working" (with a model that may be tried on the GPU) or "done"."""
    html = Html(night, {}, {})
    changes, contents = {"screen": INSETS}, {}
    lr, sr = folder / "screen_lr.png", folder / "screen_sr.png"
    if state == "choosing":
        changes |= {"start": {"enabled": "false"}}
    else:
        changes |= CHOSEN
        contents = {"lr_image": picture(lr), "reference_image": picture(folder / "screen_ref.png")}
    if state == "working":
        words = html.value("@string/working").replace("%1$d", "2").replace("%2$d", "4")
        changes |= {"status": SHOWN | {"text": words}, "progress": SHOWN | {"progress": "50"}, "start": GONE, "cancel": SHOWN}
        changes |= {"gpu_row": SHOWN, "gpu": {"checked": "true"}}
        contents["preview"] = picture(lr, "contain")
    if state == "done":
        ran = html.value("@string/ran").replace("%1$s", html.value("@string/cpu")).replace("%2$.1f", f"{seconds:.1f}")
        tonal = {"background": "@drawable/button_tonal", "textColor": "@color/on_button_tonal"}
        changes |= {"status": SHOWN | {"text": ran}, "start": tonal, "save": SHOWN, "remove_reference": SHOWN}
        changes |= {"preview": GONE, "compare": SHOWN}
        contents["compare"] = (
            f'<div class="compare"><div>{picture(sr)}<div class="before">{picture(lr)}</div><hr>{HANDLE}'
            f'<span style="left: 12px">{html.value("@string/before")}</span>'
            f'<span style="right: 12px">{html.value("@string/after")}</span></div></div>'
        )
    html = Html(night, changes, contents)
    colours = f"background: {html.value('@color/surface')}; color: {html.value('@color/on_surface')}"
    bars = '<div class="bars"><span>12:30</span><i></i><b></b></div>'
    return f'<div class="phone" style="{colours}">{html.layout("activity_main")}{bars}</div>'


def main(folder: str) -> None:
    """Writes the page, and its picture where there is a browser."""
    folder = Path(folder).resolve()
    seconds = photos(folder)
    states = [("choosing", False), ("working", False), ("done", False), ("done", True)]
    body = "".join(phone(*state, folder, seconds) for state in states)
    page = folder / "screens.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}", encoding="utf-8")
    browser = shutil.which("chromium")
    if browser is None:
        print(f"wrote {page}; no Chromium to draw it with")
        return
    picture_file = folder / "screens.png"
    command = [browser, *OPTIONS, "--window-size=1560,828", f"--screenshot={picture_file}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with Image.open(picture_file) as drawn:
        drawn.convert("RGB").quantize(256).save(picture_file, optimize=True)  # a third of the bytes
    print(f"wrote {picture_file}")


if __name__ == "__main__":
    main(sys.argv[1])
