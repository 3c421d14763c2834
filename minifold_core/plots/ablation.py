"""TM-scores of recipes beside the floors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from minifold_core.evaluation.paired import Interval
from minifold_core.plots.references import draw_references
from minifold_core.plots.style import BLUE, TEXT, add_axes, new_figure, styled

LEFT, TOP, HEIGHT, FOOT, RIGHT = 13.0, 4.0, 50.0, 22.0, 38.0
"""Millimetres around the panel; the names of floors stand to its right."""
RECIPE = 18.0
"""Width in millimetres for each recipe."""
LEAST = 60.0


@styled
def draw_ablation(
    names: Sequence[str],
    by_seed: Sequence[Sequence[float]],
    means: Sequence[tuple[float, Interval | None]],
    floors: Mapping[str, float],
) -> Figure:
    """A small dot for each training, a large one for the mean of the recipe; grey lines are floors.

    Bars are 95 % bootstrap intervals over chains.

    Args:
        names: of the recipes.
        by_seed: the TM-score of each recipe's trainings.
        means: of each recipe, with the interval.
        floors: TM-score by name.
    """
    width = max(LEAST, RECIPE * len(names))
    figure = new_figure(LEFT + width + RIGHT, TOP + HEIGHT + FOOT)
    axes = add_axes(figure, LEFT, TOP, width, HEIGHT)
    for place, (seeds, (mean, interval)) in enumerate(zip(by_seed, means, strict=True)):
        axes.plot([place + 0.18] * len(seeds), seeds, "o", color=TEXT, markersize=1.8)
        axes.plot([place], [mean], "o", color=BLUE, markersize=4)
        if interval is not None:
            axes.plot([place, place], interval, color=BLUE, linewidth=1.0)
    axes.set_xticks(range(len(names)), list(names), rotation=30, ha="right")
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.set_ylabel("TM-score")
    axes.margins(y=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    draw_references(axes, floors, size=5)
    return figure
