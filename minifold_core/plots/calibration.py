"""Predicted beside true lDDT: residues in bins of their confidence, and chains."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minifold_core.evaluation.calibration import Agreement, Calibration
from minifold_core.plots.style import BLUE, FAINT, GREY, add_axes, new_figure, styled

WIDTH, HEIGHT = 132.0, 68.0
LEFTS, TOP, SIDE = (14.0, 80.0), 6.0, 48.0
"""Millimetres: where the two square panels stand."""


@styled
def draw_calibration(found: Calibration) -> Figure:
    """Left: mean lDDT of residues by their pLDDT, over their shares; right: a point per chain.

    On the diagonal a prediction is as good as it says.
    """
    figure = new_figure(WIDTH, HEIGHT)
    residues, chains = (add_axes(figure, left, TOP, SIDE, SIDE) for left in LEFTS)
    there = [each for each in found.bins if each.n]
    residues.bar(
        [each.low for each in there],
        [each.n / found.residues.n for each in there],
        [each.high - each.low for each in there],
        align="edge",
        color=FAINT,
        label="share of residues",
    )
    residues.plot(
        [each.plddt for each in there],
        [each.lddt for each in there],
        color=BLUE,
        marker="o",
        markersize=3,
        linewidth=1.2,
        label="mean lDDT",
    )
    residues.legend(loc="upper left")
    plddt, lddt = found.per_sample.mean(1).T
    chains.scatter(plddt, lddt, s=6, color=BLUE)
    _finish(residues, "residues", found.residues)
    _finish(chains, "chains", found.chains)
    return figure


def _finish(axes: Axes, what: str, agreement: Agreement) -> None:
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.6, zorder=1)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("pLDDT")
    axes.set_ylabel("lDDT")
    axes.set_title(f"{what}: mean error {agreement.error:.3f}")
    axes.spines[["top", "right"]].set_visible(False)
