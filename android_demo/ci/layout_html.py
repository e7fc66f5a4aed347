"""Turns the app's layouts, drawables and colours into HTML: what of Android's layout rules they use, and no more.

Lengths in dp and sp are pixels of the page. LinearLayout becomes a flex box, FrameLayout a grid of one cell.
"""

from html import escape
from pathlib import Path
from xml.etree import ElementTree

RES = Path(__file__).parents[1] / "app/src/main/res"
ANDROID = "{http://schemas.android.com/apk/res/android}"
SIDES = {"Start": "left", "End": "right", "Top": "top", "Bottom": "bottom"}
ALIGNMENTS = {"top": "start", "bottom": "end", "start": "start", "end": "end"}


class Html:
    """HTML of layouts, in one theme, with what a state changes of them.

    Args:
        night: dark theme.
        changes: attributes by the id of a view, over those of the layout, e.g. {"save": {"visibility": "visible"}}.
        contents: HTML that is put into the view of an id.
    """

    def __init__(self, night: bool, changes: dict[str, dict[str, str]], contents: dict[str, str]) -> None:
        self.changes, self.contents = changes, contents
        self.values = {kind: _values("values", kind) for kind in ("color", "dimen", "string")}
        if night:
            self.values["color"] |= _values("values-night", "color")

    def value(self, reference: str, enabled: bool = True) -> str:
        """What a reference like @dimen/gap stands for, as CSS; anything else stays."""
        if reference == "@null" or not reference.startswith("@"):
            return _length(reference)
        kind, name = reference.rsplit("/", 1)
        if kind == "@android:color":
            return name
        if kind == "@color" and (RES / f"color/{name}.xml").exists():
            item = _item(_file("color", name), {"enabled": str(enabled).lower()})
            share = float(item.get(f"{ANDROID}alpha", 1))
            return f"color-mix(in srgb, {self.value(item.get(f'{ANDROID}color'))} {100 * share:g}%, transparent)"
        text = self.values[kind[1:]][name]
        return _colour(text) if text.startswith("#") else self.value(text)

    def background(self, reference: str, states: dict[str, str]) -> str:
        """CSS of a shape, with the default or the given states of a selector or ripple."""
        if not reference.startswith("@drawable/"):
            return ""
        return self._shape(_file("drawable", reference.rsplit("/", 1)[1]), states)

    def _shape(self, element, states):
        if element.tag == "ripple":
            element = element.find("item/shape")
        if element.tag == "selector":
            element = next(iter(_item(element, states)))
        if element.tag == "layer-list":
            element = element.find("item/shape")
        enabled = states.get("enabled") != "false"
        css = f"background: {self.value(element.find('solid').get(f'{ANDROID}color'), enabled)};"
        corners, stroke = element.find("corners"), element.find("stroke")
        radius = "50%" if element.get(f"{ANDROID}shape") == "oval" else "0"
        css += f"border-radius: {self.value(corners.get(f'{ANDROID}radius')) if corners is not None else radius};"
        if stroke is not None:
            width, colour = (self.value(stroke.get(f"{ANDROID}{name}")) for name in ("width", "color"))
            css += f"border: {width} solid {colour};"
        return css

    def icon(self, name: str) -> str:
        """A vector drawable as SVG."""
        vector = _file("drawable", name)
        wide, high = (_length(vector.get(f"{ANDROID}{side}")) for side in ("width", "height"))
        box = " ".join(vector.get(f"{ANDROID}viewport{side}") for side in ("Width", "Height"))
        paths = ""
        for path in vector.findall("path"):
            given = {key.removeprefix(ANDROID): value for key, value in path.attrib.items()}
            fill, stroke = (self.value(given.get(key, "none")) for key in ("fillColor", "strokeColor"))
            width, cap, join = (
                given.get("strokeWidth", 0),
                given.get("strokeLineCap", "butt"),
                given.get("strokeLineJoin", "miter"),
            )
            paths += f'<path d="{given["pathData"]}" fill="{fill}" stroke="{stroke}" stroke-width="{width}" '
            paths += f'stroke-linecap="{cap}" stroke-linejoin="{join}"/>'
        return f'<svg viewBox="0 0 {box}" style="width: {wide}; height: {high}">{paths}</svg>'

    def layout(self, name: str) -> str:
        """A layout file as HTML."""
        return self._view(_file("layout", name), "column", {})

    def _view(self, element, parent, over):
        if element.tag == "include":
            included = _file("layout", element.get("layout").rsplit("/", 1)[1])
            return self._view(included, parent, _own(element))
        given = self._attributes(element) | over
        name = given.get("id", "").rsplit("/", 1)[-1]
        given |= self.changes.get(name, {})
        if given.get("visibility") == "gone":
            return ""
        css = self._box(given, parent) + self.background(given.get("background", ""), given)
        if given.get("visibility") == "invisible":
            css += "visibility: hidden;"
        inside = self.contents.get(name, "")
        tag = element.tag.rsplit(".", 1)[-1]
        if tag == "LinearLayout":
            direction = {"vertical": "column"}.get(given["orientation"], "row")
            gravity = given.get("gravity", "")
            across = "center_vertical" if direction == "row" else "center_horizontal"
            cross = "center" if gravity in ("center", across) else "start"
            css += f"display: flex; flex-direction: {direction}; align-items: {cross};"
            css += "justify-content: center;" if gravity == "center" else ""
            inside += "".join(self._view(child, direction, {}) for child in element)
        elif tag == "FrameLayout":
            css += "display: grid; grid-template: minmax(0, 1fr) / minmax(0, 1fr); overflow: hidden; position: relative;"
            inside += "".join(self._view(child, "frame", {}) for child in element)
        elif tag in ("TextView", "Button"):
            css += self._text(given, tag)
            inside += escape(self.value(given.get("text", "")))
        elif tag in ("ImageView", "ImageButton"):
            css += "display: grid; place-items: center;" if "src" in given else ""
            inside += self.icon(given["src"].rsplit("/", 1)[1]) if "src" in given else ""
        elif tag == "Switch":
            inside += self._switch(given)
            css += "display: grid; place-items: center;"
        elif tag == "ProgressBar":
            track, bar = (item.find(".//shape") for item in _file("drawable", given["progressDrawable"].rsplit("/", 1)[1]))
            css += self._shape(track, given)
            inside += f'<div style="height: 100%; width: {given.get("progress", 0)}%; {self._shape(bar, given)}"></div>'
        return f'<div style="{css}">{inside}</div>'

    def _attributes(self, element):
        own = _own(element)
        style = element.get("style", "")
        return (self._style(style.rsplit("/", 1)[1]) if style.startswith("@style/") else {}) | own

    def _style(self, name):
        base = self._style(name.rsplit(".", 1)[0]) if "." in name else {}
        style = _file("values", "styles").find(f"style[@name='{name}']")
        return base | {item.get("name").removeprefix("android:"): item.text for item in style}

    def _box(self, given, parent):
        css = "box-sizing: border-box; min-width: 0;"
        for axis, size in (("row", "width"), ("column", "height")):
            length = given[f"layout_{size}"]
            if parent == axis and "layout_weight" in given:
                css += f"flex: {given['layout_weight']} 1 0; min-{size}: 0;"
            elif length == "match_parent":
                css += f"{size}: 100%;"
            elif length != "wrap_content":
                css += f"{size}: {self.value(length)}; flex-shrink: 0;"
            elif parent == axis:
                css += "flex: none;"
        if parent == "frame":
            vertical, _, horizontal = given.get("layout_gravity", "top|start").partition("|")
            css += f"grid-area: 1 / 1; align-self: {ALIGNMENTS[vertical]}; justify-self: {ALIGNMENTS[horizontal]};"
        for kind, prefix in (("margin", "layout_margin"), ("padding", "padding")):
            if prefix in given:
                css += f"{kind}: {self.value(given[prefix])};"
            for side, css_side in SIDES.items():
                if f"{prefix}{side}" in given:
                    css += f"{kind}-{css_side}: {self.value(given[f'{prefix}{side}'])};"
        for name in ("maxWidth", "minHeight"):
            if name in given:
                css += f"{name[:3]}-{name[3:].lower()}: {self.value(given[name])};"
        return css

    def _text(self, given, tag):
        css = f"color: {self.value(given['textColor'], given.get('enabled') != 'false')};"
        css += f"font-size: {self.value(given['textSize'])}; font-weight: {500 if 'fontFamily' in given else 400};"
        if tag == "Button":
            return css + "display: grid; place-items: center;"
        return css + ("text-align: center;" if "center" in given.get("gravity", "") else "")

    def _switch(self, given):
        states = {"checked": given.get("checked", "false")}
        thumb = _item(_file("drawable", "switch_thumb"), states).find("layer-list/item")
        size = _length(thumb.get(f"{ANDROID}width"))
        side = "right" if states["checked"] == "true" else "left"
        css = f"position: absolute; top: 0; bottom: 0; margin: auto; {side}: 5px; width: {size}; height: {size};"
        inside = f'<div style="{css} {self._shape(thumb.find("shape"), states)}"></div>'
        css = f"box-sizing: border-box; position: relative; width: {self.value(given['switchMinWidth'])}; height: 32px;"
        return f'<div style="{css} {self.background(given["track"], states)}">{inside}</div>'


def _file(folder, name):
    return ElementTree.parse(RES / folder / f"{name}.xml").getroot()


def _values(folder, kind):
    return {item.get("name"): item.text for item in _file(folder, f"{kind}s") if item.tag == kind}


def _own(element):
    return {key.removeprefix(ANDROID): value for key, value in element.attrib.items() if key.startswith(ANDROID)}


def _item(selector, states):
    """The first item of a selector that fits the states; what is not given is as by default."""
    for item in selector:
        wanted = {key.removeprefix(f"{ANDROID}state_"): value for key, value in item.attrib.items() if "state_" in key}
        if all(states.get(name, "true" if name == "enabled" else "false") == value for name, value in wanted.items()):
            return item
    raise ValueError("no item of the selector fits")


def _length(text):
    """12dp as 12px."""
    return f"{text[:-2]}px" if text[:1].isdigit() and text[-2:] in ("dp", "sp") else text


def _colour(text):
    """Android's #AARRGGBB as CSS's #RRGGBBAA."""
    return f"#{text[3:]}{text[1:3]}"
