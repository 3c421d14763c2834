"""What trivial predictors score, as named lines across a panel."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes

from minifold_core.plots.style import GREY

CLOSEST = 0.055
"""Of the panel's height: the least distance of two names."""


def draw_references(axes: Axes, scores: Mapping[str, float], size: float = 6.0) -> None:
    """Draw a grey line for each score, its name and value to the right of the panel.

    Call it last: the names are moved apart for the limits that the panel then has.
    """
    for score in scores.values():
        axes.axhline(score, color=GREY, linewidth=0.6, zorder=1)
    low, high = axes.get_ylim()
    place = low
    for name, score in sorted(scores.items(), key=lambda item: item[1]):
        place = max(score, place)
        axes.annotate(
            f"{name} {score:.2f}",
            (1.03, place),
            xycoords=("axes fraction", "data"),
            fontsize=size,
            va="center",
        )
        place += CLOSEST * (high - low) * size / 6
