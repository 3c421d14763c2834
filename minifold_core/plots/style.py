"""The one style of all pictures: widths of paper columns, fonts, colours, and how a file is made.

Colours are those of Okabe and Ito, which the common forms of colour blindness tell apart; maps of
numbers use one hue whose lightness alone carries the number, so that they survive grey printing.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, to_hex, to_rgb
from matplotlib.figure import Figure

from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic

FORMATS = (".png", ".svg")
DPI = 300

PAGE = 183.0
"""Width in millimetres of a picture across both columns of a page."""

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
TEXT = "#222222"
GREY = "#8C8C8C"
FAINT = "#CFCFCF"

_RULES = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.0,
    "legend.handletextpad": 0.4,
    "legend.columnspacing": 1.0,
    "axes.linewidth": 0.6,
    "axes.edgecolor": TEXT,
    "axes.labelcolor": TEXT,
    "text.color": TEXT,
    "xtick.color": TEXT,
    "ytick.color": TEXT,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "text.parse_math": False,  # names of runs may have a dollar sign
    "figure.facecolor": "white",
    "savefig.dpi": DPI,
    "svg.fonttype": "path",
    "svg.hashsalt": "minifold",  # else every SVG has random names inside
}

styled = matplotlib.style.context(_RULES, after_reset=True)
"""Decorator of a function that draws: the style holds inside it, whatever matplotlibrc says."""


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that many millimetres."""
    figure = Figure(figsize=(width / 25.4, height / 25.4))
    FigureCanvasAgg(figure)
    return figure


def add_axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at a place in millimetres from the figure's upper left corner."""
    whole_width, whole_height = figure.get_size_inches() * 25.4
    return figure.add_axes(
        (
            left / whole_width,
            1 - (top + height) / whole_height,
            width / whole_width,
            height / whole_height,
        )
    )


def add_text(
    figure: Figure, left: float, top: float, text: str, weight: str = "normal", align: str = "left"
) -> None:
    """Text whose first line begins, or ends, at a place in millimetres from the upper left."""
    width, height = figure.get_size_inches() * 25.4
    figure.text(left / width, 1 - top / height, text, va="top", ha=align, weight=weight)


def sequential() -> Colormap:
    """White (0) to dark blue (1); grey where there is no number."""
    return matplotlib.colormaps["Blues"].with_extremes(bad=FAINT)


def tones(colour: str) -> tuple[str, str, str]:
    """A colour, and a light and a dark one of the same hue."""
    red, green, blue = to_rgb(colour)
    light = (0.45 * red + 0.55, 0.45 * green + 0.55, 0.45 * blue + 0.55)
    return colour, to_hex(light), to_hex((0.5 * red, 0.5 * green, 0.5 * blue))


def check_path(path: Path) -> None:
    """Refuse a picture that could not be written, before anything is computed.

    Raises:
        RequestError: the suffix names no format of pictures.
        ProtectedError: the file exists.
    """
    if path.suffix.lower() not in FORMATS:
        raise RequestError(f"--out {path}: name it {' or '.join('*' + s for s in FORMATS)}")
    if path.exists():
        raise ProtectedError(f"{path} exists; choose another --out")


@styled
def save(figure: Figure, path: Path, about: str) -> None:
    """Write a picture in the format of its suffix; equal figures make equal files.

    Args:
        figure: what to write.
        path: ``*.png`` or ``*.svg``.
        about: what it shows and of which weights and data, kept in the file's metadata.

    Raises:
        MinifoldError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    metadata: dict[str, str | None] = {"Description": about}
    if suffix == ".svg":
        metadata |= {"Date": None}
    with atomic(path) as temporary:
        figure.savefig(temporary, format=suffix.removeprefix("."), metadata=metadata)
