"""The published curves of several versions: a panel for each quantity, a colour for each line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from minifold_core.discovery import VersionPackage
from minifold_core.evaluation.scores import SCORES
from minifold_core.loss_units import units_of
from minifold_core.plots.curve_data import TOTAL, Series
from minifold_core.plots.curve_looks import COLOURS, DASHES
from minifold_core.plots.curves import COLUMNS
from minifold_core.plots.grid import panel_grid, set_scale
from minifold_core.plots.style import FAINT, TEXT, styled
from minifold_core.recipe import load_recipe
from minifold_core.registry import history

VALIDATION, SAMPLED = "val_", "ddim_"
CAPTION = (
    "As printed. A curve begins after the epochs of the weights that its training started from, as "
    "far as that is known. Dots: the best of a curve in its panel. Rings: epochs between them were "
    "not printed."
)
RANDOM_TM = (0.15, 0.20)
"""What random chains of these lengths score by TM-score (docs/published.md)."""
HIGHER = ("_accuracy", "_recall")
"""Ends of the names of figures of merit."""
WIDE = 2
"""Highest over lowest value from which an axis is logarithmic."""


def published_panels(packages: Sequence[VersionPackage]) -> dict[str, dict[str, Series]]:
    """Published quantity to version to epoch to value; scores of samples come last.

    A quantity that one version alone has is left out, unless there is no other version.
    """
    panels: dict[str, dict[str, Series]] = {}
    for package in packages:
        rows = history(package)
        for name in dict.fromkeys(key for row in rows for key in row):
            points = {
                row["epoch"]: value
                for row in rows
                if name not in ("epoch", "lr") and isinstance(value := row.get(name), int | float)
            }
            if points:
                panels.setdefault(name, {})[package.id] = points
    count = len({version for lines in panels.values() for version in lines})
    shown = sorted(panels, key=lambda name: name.startswith(SAMPLED))
    return {name: panels[name] for name in shown if len(panels[name]) > 1 or count == 1}


@styled
def draw_published(
    packages: Sequence[VersionPackage],
    columns: int = COLUMNS,
    behind: Mapping[str, int] | None = None,
) -> Figure:
    """Validation losses and DDIM scores over epochs, as printed; a dot marks a panel's best.

    Args:
        packages: versions; at least one has a published table.
        columns: panels beside each other; two fit a phone.
        behind: version to epochs that its run had behind it when it began; its curve begins there.
    """
    panels, behind = published_panels(packages), behind or {}
    shown = [p for p in packages if any(p.id in lines for lines in panels.values())]
    looks = _looks([package.id for package in shown])
    units = _units(shown, panels)
    keys = [Line2D([], [], label=name, **look) for name, look in looks.items()]
    keys.append(Line2D([], [], color=TEXT, ls="", marker="o", ms=3, label="best of the panel"))
    if SAMPLED + "tm" in panels:
        label = "random chains"
        keys.append(Line2D([], [], color=FAINT, lw=5, solid_capstyle="butt", label=label))
    figure, grid = panel_grid([_title(name) for name in panels], keys, columns)
    for number, (axes, (name, lines)) in enumerate(zip(grid, panels.items(), strict=True)):
        for version, points in lines.items():
            _draw_line(axes, name, points, behind.get(version, 0), looks[version])
        if name == SAMPLED + "tm":
            axes.axhspan(*RANDOM_TM, color=FAINT, lw=0, zorder=0)
        axes.set_ylabel(units.get(name, ""), fontsize=6.5, labelpad=1.5)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
        values = [value for points in lines.values() for value in points.values()]
        set_scale(axes, values, inf if name.startswith(SAMPLED) else WIDE)
        if number + columns >= len(panels):
            axes.set_xlabel("epoch of the lineage" if any(behind.values()) else "epoch", labelpad=1)
    return figure


def _draw_line(axes: Axes, name: str, points: Series, behind: int, look: Mapping[str, Any]) -> None:
    """One curve, with marks where epochs between its points were not printed."""
    epochs = [behind + epoch for epoch in points]
    sparse = len(points) <= (max(points) - min(points)) / 2 or len(points) == 1
    marks: dict[str, Any] = {"marker": "o", "ms": 2.5, "mfc": "white"} if sparse else {}
    axes.plot(epochs, [*points.values()], **look, **marks)
    best = (max if _higher(name) else min)(points, key=lambda epoch: points[epoch])
    axes.plot(behind + best, points[best], "o", ms=3, color=look["color"])


def _higher(name: str) -> bool:
    """Whether higher values are better; of losses lower ones are."""
    score = SCORES.get(name.removeprefix(SAMPLED)) if name.startswith(SAMPLED) else None
    return score.better == "higher" if score else name.endswith(HIGHER)


def _looks(versions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """A colour for each line of versions, v11 and v11b alike; dashes tell its members apart."""
    lines: dict[str, list[str]] = {}
    for version in versions:
        stem = re.match(r"\D*\d+", version)
        lines.setdefault(stem[0] if stem else version, []).append(version)
    looks = {
        version: {
            "color": COLOURS[number % len(COLOURS)],
            "ls": DASHES[(place + number // len(COLOURS)) % len(DASHES)],
            "lw": 1.2,
        }
        for number, members in enumerate(lines.values())
        for place, version in enumerate(reversed(members))
    }
    return {version: looks[version] for version in versions}


def _title(name: str) -> str:
    score = SCORES.get(name.removeprefix(SAMPLED))
    if name.startswith(SAMPLED) and score:
        return score.label
    return TOTAL if name == VALIDATION + TOTAL else name


def _units(packages: Sequence[VersionPackage], panels: Mapping[str, Any]) -> dict[str, str]:
    scales = {load_recipe(package.id).coordinates.scale for package in packages}
    units = units_of(panels, scales) | {VALIDATION + TOTAL: "weighted sum"}
    return units | {SAMPLED + name: score.unit for name, score in SCORES.items()}
