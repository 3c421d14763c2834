"""Sampler settings side by side: scores beside the floors, and what the better ones cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minifold_core.evaluation.scores import FLOOR
from minifold_core.evaluation.sweep import Setting, Swept
from minifold_core.plots.references import draw_references
from minifold_core.plots.style import (
    BLUE,
    GREEN,
    GREY,
    PAGE,
    PURPLE,
    VERMILION,
    add_axes,
    new_figure,
    styled,
)

COLOURS = (BLUE, VERMILION, GREEN, PURPLE)
DASHES = ("solid", "dashed", "dotted", "dashdot")

LEFTS, TOP, WIDTH, HEIGHT = (13.0, 83.0, 128.0), 4.0, 29.0, 38.0
"""Millimetres: the panels; names of floors stand to the right of the first and the last."""
FOOT, LEGEND_LINE, LEGEND_COLUMNS = 12.0, 3.6, 3


@styled
def draw_sweep(swept: Sequence[Swept]) -> Figure:
    """TM-score, its difference from the best floor, and lDDT over the field with most values.

    There is a line for every combination of the other fields. Grey lines are the floors; bars are
    95 % bootstrap intervals over chains of the paired difference.
    """
    first = swept[0].setting.values
    values = {f: list(dict.fromkeys(s.setting.values[f] for s in swept)) for f in first}
    field = max(values, key=lambda name: len(values[name]))
    lines: dict[str, list[Swept]] = {}
    for each in swept:
        lines.setdefault(_other_fields(each.setting, field), []).append(each)

    legend_lines = -(-len(lines) // LEGEND_COLUMNS) if len(lines) > 1 else 0
    height = TOP + HEIGHT + FOOT + legend_lines * LEGEND_LINE
    figure = new_figure(PAGE, height)
    tm, gain, lddt = (add_axes(figure, left, TOP, WIDTH, HEIGHT) for left in LEFTS)
    for number, (name, row) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        style: dict[str, Any] = {
            "color": colour,
            "linestyle": dash,
            "marker": "o",
            "markersize": 2.5,
            "lw": 1.2,
        }
        places = [values[field].index(each.setting.values[field]) for each in row]
        tm.plot(places, [_mean(each, "tm") for each in row], label=name, **style)
        lddt.plot(places, [_mean(each, "lddt") for each in row], **style)
        _draw_gain(gain, places, row, style, 0.05 * (number - (len(lines) - 1) / 2))
    for axes, label in ((tm, "TM-score"), (gain, "TM-score over best floor"), (lddt, "lDDT")):
        axes.set_ylabel(label)
        axes.set_xticks(range(len(values[field])), [f"{value:g}" for value in values[field]])
        axes.tick_params(axis="x", labelsize=5)
        axes.set_xlabel(field)
        axes.margins(x=0.15)
        axes.spines[["top", "right"]].set_visible(False)
    gain.axhline(0, color=GREY, linewidth=0.6, zorder=1)
    draw_references(tm, _floors(swept[0], "tm"), size=5)
    draw_references(lddt, _floors(swept[0], "lddt"), size=5)
    if legend_lines:
        figure.legend(
            loc="lower left", bbox_to_anchor=(LEFTS[0] / PAGE, 0), ncols=LEGEND_COLUMNS, borderpad=0
        )
    return figure


def _draw_gain(
    axes: Axes, places: Sequence[int], row: Sequence[Swept], style: dict[str, Any], shift: float
) -> None:
    gains = [each.judgement.report.verdict.difference for each in row]
    at = [place + shift for place in places]
    axes.plot(at, [gain.mean for gain in gains], **style)
    for x, gain in zip(at, gains, strict=True):
        if gain.interval is not None:
            axes.plot([x, x], gain.interval, color=style["color"], linewidth=0.8)


def _floors(each: Swept, metric: str) -> dict[str, float]:
    rows = each.judgement.report.rows
    return {
        row.name.removeprefix(FLOOR): row.means[metric]
        for row in rows
        if row.name.startswith(FLOOR)
    }


def _mean(each: Swept, metric: str) -> float:
    return each.judgement.report.rows[0].means[metric]


def _other_fields(setting: Setting, field: str) -> str:
    """The setting without one field, in words."""
    rest = {name: value for name, value in setting.values.items() if name != field}
    return Setting(rest, setting.config).name
