"""Small multiples: panels of one size beside and below each other, under one legend."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from minifold_core.plots.curves import (
    ACROSS,
    COLUMNS,
    DOWN,
    EDGE,
    FOOT,
    HEIGHT,
    LEFT,
    LEGEND_LINE,
    WIDTH,
    log_ticks,
    short,
    width_of,
)
from minifold_core.plots.style import add_axes, new_figure

LEGEND_COLUMNS = 2
"""Names in a row of the legend, for each column of panels."""
TITLE = 7.0
"""Millimetres above the first row of panels."""


def panel_grid(
    titles: Sequence[str],
    keys: Sequence[Line2D],
    columns: int = COLUMNS,
    legend_columns: int = LEGEND_COLUMNS,
) -> tuple[Figure, list[Axes]]:
    """A figure with an empty panel for each title; the caller's style has to hold.

    Args:
        titles: above the panels.
        keys: of the legend.
        columns: panels beside each other; two fit a phone.
        legend_columns: names in a row of the legend, for each column of panels.
    """
    per_row = legend_columns * columns
    top = EDGE + LEGEND_LINE * -(-len(keys) // per_row) + TITLE
    width, height = width_of(columns), top + DOWN * -(-len(titles) // columns) + FOOT
    figure = new_figure(width, height)
    figure.legend(
        handles=list(keys),
        loc="upper left",
        bbox_to_anchor=(LEFT / width, 1 - EDGE / 2 / height),
        borderaxespad=0,
        borderpad=0,
        ncols=per_row,
        handlelength=2.2,
    )
    panels = []
    for number, title in enumerate(titles):
        row, column = divmod(number, columns)
        axes = add_axes(figure, LEFT + column * ACROSS, top + row * DOWN, WIDTH, HEIGHT)
        axes.set_title(title, pad=3)
        axes.spines[["top", "right"]].set_visible(False)
        panels.append(axes)
    return figure, panels


def set_scale(axes: Axes, values: Sequence[float], wide: float = 1.0) -> None:
    """A logarithmic axis of values if the highest is more than ``wide`` times the lowest."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    if min(values) > 0 and max(values) > wide * min(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_ylim())))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(short))
