"""How wrong a sample is along its chain, beside the native secondary structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from minifold_core.evaluation.secondary import COIL, HELIX, STRAND
from minifold_core.evaluation.tm import tm_d0
from minifold_core.plots.sampled import Floats, Sampled
from minifold_core.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    PAGE,
    PURPLE,
    TEXT,
    VERMILION,
    add_axes,
    add_text,
    new_figure,
    styled,
)

LEFT, WIDTH, TOP, DOWN = 17.0, PAGE - 21.0, 8.0, 58.0
TITLE, ERROR, STRIP, LDDT, GAP = 4.5, 21.0, 2.5, 15.0, 1.5
LABEL = 12.0
"""Millimetres: panels and their place; heights of one chain's title and panels, and between; the
distance of an axis from its label."""

LEAST = 0.1
"""Ångström at which the logarithmic axis begins; smaller errors are drawn there."""
TICKS = (LEAST, 1.0, 10.0, 100.0, 1000.0)

ELEMENTS = {COIL: FAINT, HELIX: PURPLE, STRAND: GREEN}
NAMES = {COIL: "coil", HELIX: "helix", STRAND: "strand"}


@styled
def draw_errors(chains: Sequence[Sampled]) -> Figure:
    """For each chain its errors after the TM superposition, native elements, and its lDDT.

    The dashed line is the error d0 at which a residue counts one half in the TM-score.
    """
    figure = new_figure(PAGE, TOP + len(chains) * DOWN)
    _draw_legend(figure)
    most = max(float(each.error.max()) for each in chains)
    for number, each in enumerate(chains):
        top = TOP + number * DOWN
        add_text(figure, LEFT, top, f"{each.chain.name}: {each.scores}")
        top += TITLE
        error = add_axes(figure, LEFT, top, WIDTH, ERROR)
        top += ERROR + GAP
        strip = add_axes(figure, LEFT, top, WIDTH, STRIP)
        top += STRIP + GAP
        lddt = add_axes(figure, LEFT, top, WIDTH, LDDT)
        _draw_line(error, each, each.error.clip(min=LEAST), VERMILION)
        error.axhline(tm_d0(len(each)), color=GREY, linewidth=0.8, linestyle="dashed", zorder=1)
        error.set_yscale("log")
        error.set_ylim(0.93 * LEAST, max(1.3 * most, 100 * LEAST))
        error.yaxis.set_major_locator(FixedLocator(TICKS))
        error.yaxis.set_major_formatter(FuncFormatter(_tick))
        error.yaxis.set_minor_locator(NullLocator())
        error.set_ylabel("error (Å, log)")
        _draw_strip(strip, each)
        _draw_line(lddt, each, each.residue_lddt, BLUE)
        lddt.set_ylim(0, 1.03)
        lddt.set_yticks([0, 0.5, 1])
        lddt.set_ylabel("lDDT")
        lddt.set_xlabel("residue")
        for axes in (error, strip, lddt):
            axes.set_xlim(0.5, each.place[-1] + 1.5)
            axes.yaxis.set_label_coords(-LABEL / WIDTH, 0.5)
        error.tick_params(labelbottom=False)
    return figure


def _draw_line(axes: Axes, each: Sampled, values: Floats, colour: str) -> None:
    """A line that is interrupted where residues have no Cα, and a dot for every other one."""
    along = each.along_chain(values)
    numbers = np.arange(1, len(along) + 1)
    axes.plot(numbers, along, color=colour, linewidth=0.9, marker=".", markersize=2)
    axes.spines[["top", "right"]].set_visible(False)


def _tick(value: float, _: object) -> str:
    return f"{'≤ ' if value == LEAST else ''}{value:g}"


def _draw_strip(axes: Axes, each: Sampled) -> None:
    for element, colour in ELEMENTS.items():
        places = each.place[each.elements == element]
        axes.bar(places + 1, 1, width=1, color=colour, linewidth=0)
    axes.set_ylim(0, 1)
    axes.spines[:].set_visible(False)
    axes.tick_params(bottom=False, labelbottom=False, left=False, labelleft=False)


def _draw_legend(figure: Figure) -> None:
    keys = [
        *(Patch(color=ELEMENTS[key], label=f"native {name}") for key, name in NAMES.items()),
        Line2D([], [], color=GREY, lw=0.8, ls="dashed", label="d0 of the TM-score"),
    ]
    height = figure.get_size_inches()[1] * 25.4
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(LEFT / PAGE, 1 - 1.5 / height),
        borderaxespad=0,
        borderpad=0,
        ncols=len(keys),
        handlelength=2.2,
        labelcolor=TEXT,
    )
