"""Two-dimensional histograms of angles side by side, on one colour scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minifold_core.evaluation.generation.angles import Floats, Spans
from minifold_core.plots.style import add_axes, sequential

BAR_GAP, BAR_WIDTH = 3.0, 3.0
BAR_TICKS = (0, 0.1, 0.5, 1, 2, 5, 10, 20, 50, 100)


def draw_angle_maps(
    figure: Figure,
    counts: Sequence[Floats],
    spans: Spans,
    place: tuple[float, float],
    size: tuple[float, float],
    gap: float,
) -> list[Axes]:
    """Draw the shares that bins have of all counts; colours are even in their square root.

    Args:
        figure: where to draw; the colour bar stands at the right of the last map.
        counts: of each map [rows, columns], rows upward.
        spans: radians that rows and columns span.
        place: millimetres of the first map from the figure's upper left corner.
        size: millimetres of a map.
        gap: millimetres between maps.
    """
    (left, top), (width, height) = place, size
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
        drawn.append(axes)
    right = left + len(counts) * (width + gap) - gap
    bar = add_axes(figure, right + BAR_GAP, top, BAR_WIDTH, height)
    colours = figure.colorbar(image, cax=bar, label="% of residues per 10° × 10°")
    ticks = [tick for tick in BAR_TICKS if tick**0.5 <= most]
    colours.set_ticks([tick**0.5 for tick in ticks], labels=[f"{tick:g}" for tick in ticks])
    return drawn
