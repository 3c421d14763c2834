"""Maps of angles along chains side by side, on one colour scale: how often each pair occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    RAMACHANDRAN_SPANS,
    Floats,
    Spans,
)
from minifold_core.plots.style import add_axes, sequential

BAR_GAP, BAR_WIDTH = 3.0, 3.0
BAR_TICKS = (0, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100)
TURN_TICK, BEND_TICK = 90, 30
"""Degrees between ticks of dihedrals and of pseudo-bond angles."""
LOWEST = 60
"""Degrees where the axis of pseudo-bond angles begins if there is none below."""


class Layout(NamedTuple):
    """Where maps stand, in millimetres; the colour bar stands to the right of the last.

    Attributes:
        left: of the first map, from the figure's left edge.
        top: of all, from its upper edge.
        width: of a map.
        height: of a map.
        gap: between maps.
    """

    left: float
    top: float
    width: float
    height: float
    gap: float


DrawMaps = Callable[[Figure, Sequence[Floats], Layout], list[Axes]]


def draw_pseudo_maps(figure: Figure, counts: Sequence[Floats], layout: Layout) -> list[Axes]:
    """Counts [18, 36] of pseudo-bond angle and pseudo-dihedral, the former upward.

    It is shown from 60°, or from the lowest angle that there is in any map, to 180°.
    """
    drawn = _draw_maps(figure, counts, PSEUDO_SPANS, layout)
    rows = np.flatnonzero(np.sum(counts, 0).sum(1))
    lowest = min([LOWEST, *(180 * rows[:1] // len(counts[0]))])
    for axes in drawn:
        axes.set_xlabel("pseudo-dihedral of four Cα (°)")
        axes.set_ylim(lowest // BEND_TICK * BEND_TICK, 180)
        axes.yaxis.set_major_locator(MultipleLocator(BEND_TICK))
    drawn[0].set_ylabel("pseudo-bond angle of three Cα (°)")
    return drawn


def draw_ramachandran_maps(figure: Figure, counts: Sequence[Floats], layout: Layout) -> list[Axes]:
    """Counts [36, 36] of φ and ψ, the latter upward."""
    drawn = _draw_maps(figure, [each.T for each in counts], RAMACHANDRAN_SPANS, layout)
    for axes in drawn:
        axes.set_xlabel("φ (°)")
        axes.yaxis.set_major_locator(MultipleLocator(TURN_TICK))
    drawn[0].set_ylabel("ψ (°)")
    return drawn


def _draw_maps(
    figure: Figure, counts: Sequence[Floats], spans: Spans, layout: Layout
) -> list[Axes]:
    """Shares that bins [rows, columns] have of all counts; colours are even in their square root.

    Rows go upward; ``spans`` are the radians that rows and columns span.
    """
    left, top, width, height, gap = layout
    (low, high), (first, last) = np.rad2deg(spans)
    shares = [100 * each / max(each.sum(), 1) for each in counts]
    most = max(float(share.max()) for share in shares) ** 0.5
    drawn = []
    for column, share in enumerate(shares):
        axes = add_axes(figure, left + column * (width + gap), top, width, height)
        image = axes.imshow(
            np.sqrt(share),
            cmap=sequential(),
            vmin=0,
            vmax=most,
            origin="lower",
            extent=(first, last, low, high),
            aspect="auto",
            interpolation="nearest",
        )
        axes.tick_params(labelleft=column == 0)
        axes.xaxis.set_major_locator(MultipleLocator(TURN_TICK))
        drawn.append(axes)
    right = left + len(counts) * (width + gap) - gap
    bar = add_axes(figure, right + BAR_GAP, top, BAR_WIDTH, height)
    colours = figure.colorbar(image, cax=bar, label="% of residues per 10° × 10°")
    ticks = [tick for tick in BAR_TICKS if tick**0.5 <= most]
    colours.set_ticks([tick**0.5 for tick in ticks], labels=[f"{tick:g}" for tick in ticks])
    return drawn
