"""Distances of a native chain over those of a sample of it, in one map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from minifold_core.evaluation.contacts import CONTACT
from minifold_core.plots.contacts import MIN_SEPARATION
from minifold_core.plots.sampled import Floats, Sampled
from minifold_core.plots.style import (
    PAGE,
    VERMILION,
    add_axes,
    add_text,
    new_figure,
    sequential,
    styled,
)

COLUMNS, SIDE, LEFT, TOP = 3, 43.0, 13.0, 15.0
ACROSS, DOWN, BOTTOM, BAR = 53.0, 62.0, 11.0, 3.0
"""Millimetres: side of a map, its place, from map to map, below, and width of the colour bar."""
FARTHEST = 40.0
"""Ångström at which the colours end: the same in all pictures."""

LEGEND = (
    "upper right: native · lower left: sample",
    "outlined: in contact",
    f"(Cα within {CONTACT:.0f} Å, |i − j| ≥ {MIN_SEPARATION})",
)
LINE = 3.6
"""Millimetres of a line of the legend."""


@styled
def draw_distances(chains: Sequence[Sampled], columns: int = COLUMNS) -> Figure:
    """A map for each chain, all on one scale.

    Args:
        chains: native ones with a sample of each.
        columns: maps beside each other; one fits a phone.
    """
    rows, narrow = -(-len(chains) // columns), columns == 1
    top = TOP + narrow * (len(LEGEND) - 1) * LINE
    width = PAGE - (COLUMNS - columns) * ACROSS
    figure = new_figure(width, top + (rows - 1) * DOWN + SIDE + BOTTOM)
    first, *others = LEGEND
    legend = "\n".join(LEGEND) if narrow else f"{first} · {' '.join(others)}"
    add_text(figure, LEFT, 2, legend)
    for number, each in enumerate(chains):
        row, column = divmod(number, columns)
        axes = add_axes(figure, LEFT + column * ACROSS, top + row * DOWN, SIDE, SIDE)
        image = _draw_map(axes, each)
        axes.set_title(f"{each.chain.name}\n{each.scores}")
        if column == 0:
            axes.set_ylabel("residue")
    bar = add_axes(figure, LEFT + (columns - 1) * ACROSS + SIDE + 3, top, BAR, SIDE)
    figure.colorbar(image, cax=bar, label="Cα–Cα distance (Å)", extend="max")
    return figure


def distances(each: Sampled) -> tuple[Floats, Floats]:
    """[M, M] ångström along the chain, native above the diagonal; [M, M] 1 for pairs in contact."""
    upper = np.triu(np.ones((len(each),) * 2, dtype=bool))
    native, sampled = (
        np.linalg.norm(points[:, None] - points, axis=-1) for points in (each.truth, each.sample)
    )
    mixed = np.where(upper, native, sampled)
    apart = np.abs(each.place[:, None] - each.place) >= MIN_SEPARATION
    touching = (mixed < CONTACT) & apart
    return each.along_chain(mixed), each.along_chain(touching.astype(float))


def _draw_map(axes: Axes, each: Sampled) -> AxesImage:
    values, touching = distances(each)
    end = len(values) + 0.5
    image = axes.imshow(
        values,
        cmap=sequential(),
        vmin=0,
        vmax=FARTHEST,
        extent=(0.5, end, end, 0.5),
        interpolation="nearest",
    )
    sides = list(_outline(touching == 1))
    axes.add_collection(LineCollection(sides, colors=VERMILION, linewidths=0.5))
    axes.set_xlabel("residue")
    axes.locator_params(nbins=5, integer=True)
    return image


def _outline(cells: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[K, 2, 2] sides, as two points (x, y), where cells of the map [M, M] end that are True.

    The cell of row i and column j has its middle at x = j + 1, y = i + 1.
    """
    inside = np.pad(cells, 1)
    sides = []
    for axis in (0, 1):
        change = np.argwhere(np.diff(inside, axis=axis))
        begin = change[:, ::-1] - 0.5
        begin[:, 1 - axis] += 1
        sides.append(np.stack([begin, begin + np.eye(2)[axis]], 1))
    return np.concatenate(sides)
