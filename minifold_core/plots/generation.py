"""Structures beside natural chains: angles, sizes, secondary structure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from minifold_core.evaluation.generation.report import GenerationReport
from minifold_core.plots.angle_maps import (
    DrawMaps,
    Layout,
    draw_pseudo_maps,
    draw_ramachandran_maps,
)
from minifold_core.plots.style import (
    FAINT,
    GREY,
    PAGE,
    TEXT,
    VERMILION,
    add_axes,
    new_figure,
    styled,
)

Floats = NDArray[np.float64]

LEFT, TOP, BOTTOM, GAP = 14.0, 7.0, 12.0, 8.0
"""Millimetres of margins and between panels."""
MAP_WIDTH, MAP_HEIGHT = 68.0, 56.0
SPREADS = 2
"""Spreads of ln Rg that the band about the law reaches."""


def draw_all(report: GenerationReport) -> dict[str, Figure]:
    """All pictures of a report, by the name of the file to write."""
    pictures = {"pseudo_ramachandran": draw_pseudo_ramachandran(report)}
    if report.samples.backbones and report.natural.backbones:
        pictures["ramachandran"] = draw_ramachandran(report)
    return pictures | {"size": draw_size(report), "content": draw_content(report)}


@styled
def draw_pseudo_ramachandran(report: GenerationReport) -> Figure:
    """How often each pair of Cα pseudo-dihedral and pseudo-bond angle occurs."""
    return _draw_maps(report, report.natural.pseudo, report.samples.pseudo, draw_pseudo_maps)


@styled
def draw_ramachandran(report: GenerationReport) -> Figure:
    """How often each pair of backbone dihedrals φ and ψ occurs."""
    natural, samples = report.natural.ramachandran, report.samples.ramachandran
    return _draw_maps(report, natural, samples, draw_ramachandran_maps)


@styled
def draw_size(report: GenerationReport) -> Figure:
    """Radius of gyration against length, and the law that natural chains follow."""
    figure = new_figure(PAGE, TOP + 75 + BOTTOM)
    axes = add_axes(figure, LEFT, TOP, PAGE - LEFT - 4, 75)
    whole = len(report.natural) - report.windows
    natural, samples = report.natural, report.samples
    _points(axes, natural.lengths[:whole], natural.values["rg"][:whole], "natural chains", GREY)
    _points(axes, samples.lengths, samples.values["rg"], "structures", VERMILION)
    if (law := report.law) is not None:
        longest = max(*natural.lengths[:whole], *samples.lengths)
        shortest = min(*natural.lengths[:whole], *samples.lengths)
        lengths = np.linspace(shortest, longest, 200)
        middle, factor = law.expected(lengths), np.exp(SPREADS * law.spread)
        label = f"{law.coefficient:.2f} Å · N$^{{{law.exponent:.2f}}}$ ± {SPREADS} spreads"
        axes.plot(lengths, middle, color=TEXT, linewidth=1, label=label)
        axes.fill_between(lengths, middle / factor, middle * factor, color=FAINT, alpha=0.5, lw=0)
    axes.set_xlabel("residues N")
    axes.set_ylabel("radius of gyration (Å)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return figure


@styled
def draw_content(report: GenerationReport) -> Figure:
    """Shares of helix and strand of each chain, which add up to one at most."""
    figure = new_figure(PAGE / 2, TOP + 72 + BOTTOM)
    axes = add_axes(figure, LEFT, TOP, 72, 72)
    axes.plot([0, 1], [1, 0], color=FAINT, linewidth=0.8)
    for found, label, colour in (
        (report.natural, "natural chains", GREY),
        (report.samples, "structures", VERMILION),
    ):
        count = len(found) - (report.windows if found is report.natural else 0)
        helix, strand = (found.values[name][:count] for name in ("helix", "strand"))
        _points(axes, helix, strand, label, colour)
    axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), xlabel="helix, share of residues")
    axes.set_ylabel("strand, share of residues")
    axes.legend(loc="upper right")
    return figure


def _draw_maps(
    report: GenerationReport, natural: Floats, samples: Floats, draw: DrawMaps
) -> Figure:
    """Natural chains left, structures right: shares of all counts [N, rows, columns], one scale."""
    figure = new_figure(PAGE, TOP + MAP_HEIGHT + BOTTOM)
    natural = natural[: len(natural) - report.windows]
    counts = [natural.sum(0), samples.sum(0)]
    panels = draw(figure, counts, Layout(LEFT, TOP, MAP_WIDTH, MAP_HEIGHT, GAP))
    titles = (f"{len(natural)} natural chains", f"{len(samples)} structures")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
    return figure


def _points(axes: Axes, x: ArrayLike, y: ArrayLike, label: str, colour: str) -> None:
    axes.scatter(x, y, s=8, color=colour, alpha=0.6, linewidths=0, label=label)
