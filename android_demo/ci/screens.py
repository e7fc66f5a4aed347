"""Draws the app's screen in a browser from the layout's dimensions, strings and colours, with real pictures.

    python android_demo/ci/screens.py FOLDER       writes FOLDER/screens.html and, where Chromium is, FOLDER/screens.png

FOLDER holds lr.png, ref.png and sr_python.png, as ci/same_picture.py leaves them. It is a drawing, not a screenshot of a
phone: fonts and buttons are the browser's.
"""

import base64
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

RES = Path(__file__).parents[1] / "app/src/main/res"
STYLE = Path(__file__).with_name("screens.css").read_text(encoding="utf-8")
REMOVE = (  # as in drawable/remove.xml
    '<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="12" fill="#0009"/>'
    '<path d="M7,7l10,10M17,7l-10,10" stroke="#fff" stroke-width="2"/></svg>'
)
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")


def values(folder: str, tag: str) -> dict[str, str]:
    """Names and values of a resource file, e.g. values/strings.xml."""
    return {item.get("name"): item.text for item in ElementTree.parse(RES / folder / f"{tag}.xml").getroot()}


def picture(path: Path) -> str:
    """A file as the address of a picture in the page."""
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def css(colour: str) -> str:
    """Android's #AARRGGBB as CSS's #RRGGBBAA."""
    return f"#{colour[3:]}{colour[1:3]}"


def screen(folder: Path, state: str, theme: str) -> str:
    """One phone in one state."""
    words = values("values", "strings")
    colours = {name: css(value) for name, value in values("values-night" if theme == "dark" else "values", "colors").items()}
    chosen = state != "choosing"
    cards = "".join(
        f'<div class="card" style="border-color: {colours["edge"]}; background: {colours["soft"]}">'
        + (f'<img src="{picture(folder / file)}">' if chosen else words[text])
        + (REMOVE if text == "choose_reference" and state == "done" else "")
        + "</div>"
        for file, text in (("lr.png", "choose_lr"), ("ref.png", "choose_reference"))
    )
    status = {"working": words["working"].replace("%1$d", "3").replace("%2$d", "6"), "done": "", "choosing": ""}[state]
    buttons = {"working": ["cancel"], "done": ["start", "save"], "choosing": ["start"]}[state]
    row = (
        "".join(f'<div class="button {"" if chosen else "off"}">{words[name]}</div>' for name in buttons)
        + f"<span>{status}</span>"
    )
    bar = f'<div class="bar"><i style="width: 50%; background: {colours["accent"]}"></i></div>' if state == "working" else ""
    compare = ""
    if state == "done":
        before, after = picture(folder / "lr.png"), picture(folder / "sr_python.png")
        compare = (
            f'<div class="compare"><div><img src="{after}"></div>'
            f'<div style="clip-path: inset(0 50% 0 0)"><img src="{before}"></div><hr>'
            f'<span style="left: 0">{words["before"]}</span><span style="right: 0">{words["after"]}</span></div>'
        )
    return f'<div class="phone {theme}"><div class="cards">{cards}</div><div class="row">{row}</div>{bar}{compare}</div>'


def main(folder: str) -> None:
    """Writes the page, and its picture where there is a browser."""
    folder = Path(folder).resolve()
    states = [("choosing", "light"), ("working", "light"), ("done", "light"), ("done", "dark")]
    body = "".join(screen(folder, *state) for state in states)
    page = folder / "screens.html"
    page.write_text(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style>{body}", encoding="utf-8")
    browser = shutil.which("chromium")
    if browser is None:
        print(f"wrote {page}; no Chromium to draw it with")
        return
    picture_file = folder / "screens.png"
    command = [browser, *OPTIONS, "--window-size=1560,768", f"--screenshot={picture_file}", page.as_uri()]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    print(f"wrote {picture_file}")


if __name__ == "__main__":
    main(sys.argv[1])
