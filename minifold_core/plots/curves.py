"""Training curves as small multiples: a panel for each quantity, a colour for each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from minifold_core.console import note
from minifold_core.errors import RequestError
from minifold_core.plots.curve_data import (
    TOTAL,
    TOTAL_FIXED,
    Panel,
    Section,
    bins,
    optimizer,
    results,
    smoothed,
)
from minifold_core.plots.curve_looks import MOST, Looks, LooksByBin, LooksByRun, names_of
from minifold_core.plots.style import add_axes, add_text, new_figure, save, styled
from minifold_core.runs import RunRecord, read_run

COLUMNS, WIDTH, HEIGHT = 4, 31.0, 21.0
LEFT, ACROSS, DOWN = 14.5, 44.5, 30.0
HEADING, LEGEND_LINE, EDGE, FOOT = 10.0, 3.6, 4.0, 4.0
"""Millimetres: panels, their place and distances, and the lines of headings and legend."""


def draw_curves(
    runs: Sequence[RunRecord],
    terms: Sequence[str] = (),
    smooth: int = 1,
    columns: int = COLUMNS,
    sides: Sequence[str] = (),
) -> Figure:
    """Losses, figures of merit, scores, learning rates and gradient norms over epochs.

    Training is thin and validation bold; the published curve of a run's version lies faintly
    behind, as far as its runs go. A dot marks the best epoch.

    Args:
        runs: one to four, or of one to four sides.
        terms: losses and figures to draw alone.
        smooth: epochs, each and those before it, whose mean is drawn.
        columns: panels beside each other; two fit a phone.
        sides: of each run the side that it belongs to; runs of one side look alike.

    Raises:
        RequestError: a term is not there, no epoch has ended, or there are too many runs.
    """
    looks = LooksByRun(runs, sides)
    _check(runs, looks)
    parts = results(runs, terms) + ([] if terms else optimizer(runs))
    return _draw(parts, runs, smooth, looks, columns)


def draw_bins(
    runs: Sequence[RunRecord], terms: Sequence[str] = (), smooth: int = 1, columns: int = COLUMNS
) -> Figure:
    """Validation losses per bin of noise levels, the darker the noisier, as :func:`draw_curves`."""
    looks = LooksByBin(runs)
    _check(runs, looks)
    return _draw(bins(runs, terms), runs, smooth, looks, columns)


def save_curves(run_directory: Path, path: Path) -> None:
    """Draw what a run has learned so far over the picture that is there.

    For training, after each epoch: it reads the run's recipe and ``metrics.csv``, draws losses,
    figures of merit and scores, and takes about half a second, some more for matplotlib the first
    time. It writes nothing but ``path`` and raises nothing: what goes wrong is one line on
    stderr. Before the first epoch has ended it does nothing.

    Args:
        run_directory: the run.
        path: ``*.png`` or ``*.svg``.
    """
    try:
        runs = [read_run(run_directory)]
        for problem in runs[0].problems:
            note(f"warning: {run_directory}: {problem}")
        if parts := results(runs):
            figure = _draw(parts, runs, 1, LooksByRun(runs))
            save(figure, path, about(runs))
    except Exception as error:  # a picture is not worth a training
        note(f"warning: no curves in {path}: {error}")


def about(runs: Sequence[RunRecord]) -> str:
    """What a picture of these runs shows, in words."""
    which = (f"{run.directory.resolve().name} ({run.meta.id}), epoch {run.epoch}" for run in runs)
    return f"training curves of {', '.join(which)}"


def _check(runs: Sequence[RunRecord], looks: Looks) -> None:
    if (count := len(set(looks.places))) > MOST:
        raise RequestError(f"{count} runs are too many for one picture; give 1 to {MOST}")
    for run in runs:
        if not run.series("train/total"):
            raise RequestError(f"{run.directory}: no epoch has ended; there is nothing to draw")


@styled
def _draw(
    parts: list[Section],
    runs: Sequence[RunRecord],
    smooth: int,
    looks: Looks,
    columns: int = COLUMNS,
) -> Figure:
    """The sections below each other, each from a new row on, under one legend."""
    keys = looks.keys(parts)
    width, legend_columns = width_of(columns), columns - 1 or 1
    top = EDGE + LEGEND_LINE * -(-len(keys) // legend_columns)
    height = top + sum(HEADING + DOWN * _rows(part, columns) for part in parts) + FOOT
    figure = new_figure(width, height)
    figure.legend(
        handles=keys,
        loc="upper left",
        bbox_to_anchor=(LEFT / width, 1 - EDGE / 2 / height),
        borderaxespad=0,
        borderpad=0,
        ncols=legend_columns,
        handlelength=2.2,
    )
    for part in parts:
        add_text(figure, LEFT, top + 1.5, part.title, weight="bold")
        top += HEADING
        names = names_of(part)
        for number, panel in enumerate(part.panels):
            row, column = divmod(number, columns)
            axes = add_axes(figure, LEFT + column * ACROSS, top + row * DOWN, WIDTH, HEIGHT)
            for line in panel.lines:
                points = line.points if line.kind == "published" else smoothed(line.points, smooth)
                look = looks.of(line, names)
                alone = {"marker": "o", "ms": 3 * look["lw"]} if len(points) == 1 else {}
                axes.plot([*points], [*points.values()], **look, **alone)
            _mark_best(axes, panel, runs, looks)
            _set_axes(axes, panel, runs)
            if number + columns >= len(part.panels):
                axes.set_xlabel("epoch", labelpad=1)
        top += DOWN * _rows(part, columns)
    return figure


def width_of(columns: int) -> float:
    """Millimetres of so many panels beside each other."""
    return LEFT + (columns - 1) * ACROSS + WIDTH + EDGE


def _rows(part: Section, columns: int) -> int:
    return -(-len(part.panels) // columns)


def _set_axes(axes: Axes, panel: Panel, runs: Sequence[RunRecord]) -> None:
    axes.set_title(panel.title, pad=3)
    axes.set_ylabel(panel.unit, fontsize=6.5, labelpad=1.5)
    axes.spines[["top", "right"]].set_visible(False)
    first, last = min(run.rows[0]["epoch"] for run in runs), max(run.epoch for run in runs)
    margin = 0.03 * (last - first) or 0.5
    axes.set_xlim(first - margin, last + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    own = [v for n in panel.lines if n.kind != "published" for v in n.points.values()]
    _keep_near(axes, min(own), max(own))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    if panel.log and min(own) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(FixedLocator(log_ticks(*axes.get_ylim())))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(short))


def _keep_near(axes: Axes, low: float, high: float) -> None:
    """Leave what was published out of sight where it would flatten the runs' own values."""
    bottom, top = axes.get_ylim()
    room = 2 * (high - low) or 1
    if bottom < low - room or top > high + room:
        axes.set_ylim(max(bottom, low - room), min(top, high + room))


def log_ticks(low: float, high: float) -> list[float]:
    """Two to five round numbers of a range; a narrow one has none of the usual 1, 2, 5."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for heads in ((1, 2, 5), (1,)):
        ticks = [head * 10.0**decade for decade in decades for head in heads]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if 2 <= len(ticks) <= 5:
            return ticks
    if len(ticks) > 5:
        return ticks[:: math.ceil(len(ticks) / 4)]
    return [tick for tick in MaxNLocator(3).tick_values(low, high) if low <= tick <= high]


def short(value: float, _: object = None) -> str:
    """A number of at most three digits, small ones with an exponent: 2e-5."""
    if not 0 < abs(value) < 0.01:
        return f"{value:g}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"


def _mark_best(axes: Axes, panel: Panel, runs: Sequence[RunRecord], looks: Looks) -> None:
    """A dot on each run's total of validation, or of training where there is no other."""
    if panel.title not in (TOTAL, TOTAL_FIXED):
        return
    for number, run in enumerate(runs):
        values = run.series(f"val/{panel.title}") or run.series(f"train/{panel.title}")
        if run.best and run.best[0] in values:
            axes.plot(run.best[0], values[run.best[0]], "o", ms=3, color=looks.colour(number))
