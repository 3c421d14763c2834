"""Pictures of :mod:`minifold_core.plots` as SVG inside a page: its letters, its colours.

What is drawn is the picture that a PNG or SVG file would hold. Its text becomes text of the page;
black ink takes the page's colour, and every other colour has a counterpart for the dark theme.
"""

from __future__ import annotations

import colorsys
import io
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass

import matplotlib
from markupsafe import Markup
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

from minifold_core.plots.style import BLUE, FAINT, GREEN, GREY, PURPLE, TEXT, VERMILION, styled

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
DROPPED = ("metadata", "style")
"""Elements that a page has no use for: whose rule for all elements its own style sheet has."""
INK = {TEXT.lower(): "currentColor", "#000000": "currentColor", "#ffffff": "var(--paper)"}
KNOWN = {
    BLUE: "#56b4e9",
    VERMILION: "#f08a4b",
    GREEN: "#35c49a",
    PURPLE: "#dc9fc4",
    GREY: "#8c8c8c",
}
"""Our colours for lines, and lighter ones of the same hues, that stand out from near-black."""
SHALLOW = 0.8
"""Of the lightness of other colours: white becomes a dark grey that black still stands out from."""

_KNOWN = {colour.lower(): other for colour, other in KNOWN.items()}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"#([A-Za-z_][\w.-]*)\)?")


@dataclass(frozen=True)
class Picture:
    """A figure of a page.

    Attributes:
        name: unique in the page, of letters, digits and hyphens.
        title: what it shows, in a few words: its alternative text.
        caption: what has to be known to read it.
        wide: for screens and paper.
        narrow: the same for phones; without one ``wide`` is shown there too.
    """

    name: str
    title: str
    caption: str
    wide: Markup
    narrow: Markup | None = None

    @classmethod
    def of(
        cls, name: str, title: str, caption: str, wide: Figure, narrow: Figure | None = None
    ) -> Picture:
        """A picture of one drawing, or of a drawing in two widths."""
        small = None if narrow is None else inline_svg(narrow, f"{name}-narrow", title)
        return cls(name, title, caption, inline_svg(wide, f"{name}-wide", title), small)


@styled
def inline_svg(figure: Figure, name: str, title: str) -> Markup:
    """A figure as an SVG element.

    Args:
        figure: what to show.
        name: begins every id inside, so that several figures can share a page.
        title: the alternative text.
    """
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    root = ET.fromstring(file.getvalue())
    _drop(root)
    _rename(root, name)
    _join(root)
    for element in root.iter():
        if style := element.get("style"):
            element.set("style", _restyled(style))
    width = root.attrib.pop("width")
    del root.attrib["height"]
    root.attrib |= {"role": "img", "aria-labelledby": f"{name}-title"}
    root.set("style", f"--width: {width}")
    label = ET.Element(f"{{{SVG}}}title", {"id": f"{name}-title"})
    label.text = title
    root.insert(0, label)
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    return Markup(ET.tostring(root, encoding="unicode"))


def dark(colour: str) -> str:
    """The counterpart of a colour for a dark page: light for dark and dark for light."""
    if colour in _KNOWN:
        return _KNOWN[colour]
    hue, lightness, saturation = colorsys.rgb_to_hls(*to_rgb(colour))
    return to_hex(colorsys.hls_to_rgb(hue, 1 - SHALLOW * lightness, saturation))


def _drop(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in DROPPED:
                parent.remove(child)


def _join(root: ET.Element) -> None:
    """Draw neighbouring strokes of one look as one, in hundredths of a point."""
    for parent in list(root.iter()):
        before: ET.Element | None = None
        for child in list(parent):
            child.tail = None
            if path := child.get("d"):
                child.set("d", _LONG.sub(lambda found: f"{float(found[0]):.2f}", path))
            if before is not None and _alike(before, child):
                before.set("d", f"{before.get('d')} {child.get('d')}")
                parent.remove(child)
            else:
                before = child


def _alike(one: ET.Element, two: ET.Element) -> bool:
    looks = [{k: v for k, v in each.attrib.items() if k != "d"} for each in (one, two)]
    strokes = all("d" in each.attrib and "id" not in each.attrib for each in (one, two))
    return strokes and looks[0] == looks[1] and "fill: none" in looks[0].get("style", "")


def _rename(root: ET.Element, name: str) -> None:
    """Keep the ids that something inside refers to, under the figure's name."""
    used = {
        found
        for element in root.iter()
        for key, value in element.attrib.items()
        if key.endswith("href") or "url(#" in value
        for found in _REFERENCE.findall(value)
        if not value.startswith("data:")
    }
    for element in root.iter():
        if (own := element.attrib.pop("id", None)) in used:
            element.set("id", f"{name}-{own}")
        for key, value in element.attrib.items():
            if value.startswith("#") and key.endswith("href"):
                element.set(key, f"#{name}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{name}-"))


def _restyled(style: str) -> str:
    kept = (rule for rule in style.split("; ") if not rule.startswith("font-family"))
    return _COLOUR.sub(lambda found: _themed(found[0].lower()), "; ".join(kept))


def _themed(colour: str) -> str:
    if colour in INK:
        return INK[colour]
    return "var(--faint)" if colour == FAINT.lower() else f"light-dark({colour}, {dark(colour)})"
