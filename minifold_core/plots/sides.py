"""Pictures of a measured comparison: losses by noise level, and differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from minifold_core.plots.curve_looks import COLOURS, DASHES
from minifold_core.plots.curves import COLUMNS
from minifold_core.plots.grid import panel_grid, set_scale
from minifold_core.plots.style import (
    BLUE,
    FAINT,
    GREY,
    PAGE,
    VERMILION,
    add_axes,
    add_text,
    new_figure,
    styled,
)

NAMES, RIGHT, TOP, ROW, HEADING, AXIS = 34.0, 8.0, 9.0, 4.6, 7.0, 13.0
"""Millimetres: left and right of the axes, above all, of a row, above and below each group."""
NARROW = 95.0
"""Millimetres that fit a phone."""
LOOKS = {"better": (BLUE, "o"), "worse": (VERMILION, "s")}
OTHERWISE = (GREY, "D")
"""Where nothing can be said; hollow, so that it is told apart without colour."""


class Effect(NamedTuple):
    """A difference with its 95 % interval, and what that allows to say."""

    label: str
    mean: float
    low: float
    high: float
    says: str


class Group(NamedTuple):
    """Differences on one axis, whose label names the unit."""

    title: str
    axis: str
    effects: Sequence[Effect]


@styled
def draw_noise_bins(
    losses: Mapping[str, Mapping[str, Mapping[str, float]]],
    units: Mapping[str, str],
    columns: int = COLUMNS,
) -> Figure:
    """Validation losses over bins of noise levels, a line for each side.

    Args:
        losses: term to side to bin (``t0-250``) to mean over chains.
        units: term to its unit.
        columns: panels beside each other; two fit a phone.
    """
    sides = list(dict.fromkeys(side for own in losses.values() for side in own))
    looks: dict[str, dict[str, Any]] = {
        side: {"color": COLOURS[n % len(COLOURS)], "ls": DASHES[n // len(COLOURS) % len(DASHES)]}
        for n, side in enumerate(sides)
    }
    keys = [Line2D([], [], label=side, lw=1.2, marker="o", ms=2.5, **looks[side]) for side in sides]
    figure, grid = panel_grid(list(losses), keys, columns, legend_columns=1)
    for number, (axes, (name, own)) in enumerate(zip(grid, losses.items(), strict=True)):
        for side, bins in own.items():
            middles = [sum(_ends(level)) / 2 for level in bins]
            axes.plot(middles, [*bins.values()], lw=1.2, marker="o", ms=2.5, **looks[side])
        ends = sorted({end for bins in own.values() for level in bins for end in _ends(level)})
        axes.set_xticks(ends)
        axes.set_xlim(ends[0], ends[-1])
        axes.set_ylabel(units.get(name, ""), fontsize=6.5, labelpad=1.5)
        set_scale(axes, [value for bins in own.values() for value in bins.values()])
        if number + columns >= len(losses):
            axes.set_xlabel("noise level t", labelpad=1)
    return figure


@styled
def draw_forest(groups: Sequence[Group], width: float = PAGE) -> Figure:
    """Differences as marks with 95 % intervals, a group below the other, each on its own axis.

    Args:
        groups: none of them empty.
        width: of the figure in millimetres.
    """
    height = TOP + sum(HEADING + ROW * len(group.effects) + AXIS for group in groups)
    figure = new_figure(width, height)
    _draw_key(figure)
    top = TOP
    for group in groups:
        tall = ROW * len(group.effects)
        add_text(figure, 2, top + 1.5, group.title, weight="bold")
        axes = add_axes(figure, NAMES, top + HEADING, width - NAMES - RIGHT, tall)
        _draw_group(axes, group)
        top += HEADING + tall + AXIS
    return figure


def _draw_group(axes: Axes, group: Group) -> None:
    axes.axvline(0, color=FAINT, lw=1.0, zorder=0)
    for row, effect in enumerate(group.effects):
        colour, marker = LOOKS.get(effect.says, OTHERWISE)
        filled = colour if effect.says in LOOKS else "white"
        axes.plot([effect.low, effect.high], [row, row], color=colour, lw=1.2, zorder=1)
        axes.plot(effect.mean, row, marker, ms=4, color=colour, mfc=filled, zorder=2)
    axes.set_ylim(len(group.effects) - 0.5, -0.5)
    axes.set_yticks(range(len(group.effects)), [effect.label for effect in group.effects])
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.set_xlabel(group.axis, labelpad=1)


def _draw_key(figure: Figure) -> None:
    marks = [(*LOOKS["better"], "better"), (*LOOKS["worse"], "worse")]
    marks.append((*OTHERWISE, "no difference shown"))
    keys = [
        Line2D([], [], color=c, marker=m, ms=4, lw=1.2, label=label, mfc=c if n < 2 else "white")
        for n, (c, m, label) in enumerate(marks)
    ]
    height = figure.get_size_inches()[1] * 25.4
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - 1 / height),
        ncols=len(keys),
        handlelength=2.2,
    )


def _ends(level: str) -> tuple[int, int]:
    low, _, high = level.removeprefix("t").partition("-")
    return int(low), int(high)
