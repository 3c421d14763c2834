"""The fold that a single step finds, by noise level."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from minifold_core.evaluation.noise_levels import NoiseLevels
from minifold_core.plots.references import draw_references
from minifold_core.plots.style import BLUE, GREY, VERMILION, add_axes, new_figure, styled

WIDTH, HEIGHT = 118.0, 75.0
LEFT, TOP, AXES_WIDTH, AXES_HEIGHT = 14.0, 5.0, 70.0, 55.0
"""Millimetres; the names of the floors stand to the right of the axes."""


@styled
def draw_levels(levels: NoiseLevels, floors: Mapping[str, float]) -> Figure:
    """TM-score over noise levels: predicted, from shuffled sequences, and of the noised state.

    Args:
        levels: what was measured.
        floors: floor to its TM-score on the same chains, drawn as lines.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = add_axes(figure, LEFT, TOP, AXES_WIDTH, AXES_HEIGHT)
    _draw(axes, levels, levels.own, "predicted in one step", BLUE, "solid")
    if levels.shuffled is not None:
        _draw(axes, levels, levels.shuffled, "the same, sequence shuffled", VERMILION, "solid")
    _draw(axes, levels, levels.state, "noised state itself", GREY, "dashed")
    axes.set_ylim(0, 1)
    axes.set_xticks(levels.times[1::2])
    axes.set_xticklabels(
        [f"{t}\n{sigma:.2g}" for t, sigma in zip(levels.times, levels.sigmas, strict=True)][1::2]
    )
    axes.set_xlabel("noise level t, and its σ (Å)")
    axes.set_ylabel("TM-score")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper right", handlelength=2)
    draw_references(axes, floors)
    return figure


def _draw(axes: Axes, levels: NoiseLevels, tm: Tensor, name: str, colour: str, dash: str) -> None:
    axes.plot(
        levels.times,
        tm.mean(1).tolist(),
        color=colour,
        linestyle=dash,
        linewidth=1.2,
        marker="o",
        markersize=2.5,
        label=name,
    )
