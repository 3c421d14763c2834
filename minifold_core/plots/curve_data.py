"""What pictures of a training show: panels of columns of ``metrics.csv``. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from minifold_core.discovery import find_versions
from minifold_core.errors import RequestError, did_you_mean
from minifold_core.evaluation.scores import SCORES
from minifold_core.interfaces import FLOOR
from minifold_core.loss_units import units_of
from minifold_core.registry import PUBLISHED, history
from minifold_core.runs import RunRecord

Series = Mapping[int, float]
"""Epoch to value."""
Kind = Literal["training", "validation", "floor", "published"]

TOTAL, TOTAL_FIXED = "total", "total_fixed"
SLOTS = {
    "lr": "Learning rate",
    "grad_norm": "Gradient norm before clipping, mean over the epoch",
    "update": "Size of a step over size of the weights, mean over the epoch",
}
COUNTS = ("skipped", "tripwire")


class Line(NamedTuple):
    """One curve: the run it belongs to, what it shows, and its points.

    ``name`` tells floors and noise levels apart.
    """

    run: int
    kind: Kind
    points: Series
    name: str = ""


class Panel(NamedTuple):
    """One quantity; ``log`` says that its axis is logarithmic."""

    title: str
    lines: list[Line]
    unit: str = ""
    log: bool = False


class Section(NamedTuple):
    """Panels under one heading."""

    title: str
    panels: list[Panel]


def results(runs: Sequence[RunRecord], terms: Sequence[str] = ()) -> list[Section]:
    """Losses, figures of merit, and scores of sampled structures.

    Args:
        runs: in the order of their colours.
        terms: losses and figures to show alone; default all, and the scores.

    Raises:
        RequestError: a term is in no run.
    """
    losses, figures = _losses(runs), _figures(runs)
    check_terms(terms, [*losses, *figures])
    units = _units(runs)
    made = [
        Section(
            "Losses, mean over the epoch",
            [Panel(n, _term(runs, n), units.get(n, "")) for n in _chosen(losses, terms)],
        ),
        Section(
            "Figures of merit of validation",
            [Panel(n, _term(runs, n)) for n in _chosen(figures, terms)],
        ),
        Section("Structures sampled from validation chains", [] if terms else _scores(runs)),
    ]
    return _filled(made)


def optimizer(runs: Sequence[RunRecord]) -> list[Section]:
    """What the optimizer did to each slot, and what went wrong in which share of the steps."""
    made = [Section(title, _slots(runs, group)) for group, title in SLOTS.items()]
    made.append(Section("Share of steps", _counts(runs)))
    return _filled(made)


def bins(runs: Sequence[RunRecord], terms: Sequence[str] = ()) -> list[Section]:
    """Validation losses per bin of noise levels, the lines of a panel from low to high noise.

    Raises:
        RequestError: a term has no bins, or nothing has.
    """
    columns = [name.removeprefix("val/") for name in _columns(runs) if "@" in name]
    names = list(dict.fromkeys(name.partition("@")[0] for name in columns))
    if not names:
        raise RequestError("no validation per noise bin in these runs; draw without --bins")
    check_terms(terms, names)
    units, panels = _units(runs), []
    for name in _chosen(names, terms):
        own = sorted({c for c in columns if c.startswith(f"{name}@")}, key=_lowest)
        lines = [
            Line(number, "validation", run.series(f"val/{column}"), column.partition("@t")[2])
            for column in own
            for number, run in enumerate(runs)
        ]
        lines = [line for line in lines if line.points]
        panels.append(Panel(name, lines, units.get(name, ""), log=True))
    return _filled([Section("Validation losses by noise level t, of 1000", panels)])


def smoothed(points: Series, width: int) -> Series:
    """The mean over each epoch and the ``width - 1`` before it, as far as they are there."""
    return {
        epoch: sum(near) / len(near)
        for epoch in points
        if (near := [points[e] for e in range(epoch - width + 1, epoch + 1) if e in points])
    }


def check_terms(terms: Sequence[str], known: Iterable[str]) -> None:
    """Refuse a term that is not known.

    Raises:
        RequestError: there is one.
    """
    names = list(known)
    for term in terms:
        if term not in names:
            raise RequestError(f"--terms {term}: no such curve; {did_you_mean(term, names)}")


def _filled(made: list[Section]) -> list[Section]:
    """Without panels in which no run has a number, and without empty sections."""
    full = (
        Section(title, [p for p in panels if any(n.kind != "published" for n in p.lines)])
        for title, panels in made
    )
    return [section for section in full if section.panels]


def _columns(runs: Sequence[RunRecord]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for row in run.rows for name in row))


def _chosen(names: Iterable[str], terms: Sequence[str]) -> list[str]:
    return [name for name in names if not terms or name in terms]


def _losses(runs: Sequence[RunRecord]) -> list[str]:
    """Totals first; the one with ramps at their end only where there are ramps."""
    prefix = "train/"
    names = [n.removeprefix(prefix) for n in _columns(runs) if n.startswith(prefix)]
    terms = [name for name in names if name not in (TOTAL, TOTAL_FIXED)]
    ramps = any(run.series("train/total") != run.series("train/total_fixed") for run in runs)
    return [*(n for n in (TOTAL, TOTAL_FIXED)[: 1 + ramps] if n in names), *terms]


def _figures(runs: Sequence[RunRecord]) -> list[str]:
    names = [n.removeprefix("val/") for n in _columns(runs) if n.startswith("val/")]
    losses = {*_losses(runs), TOTAL, TOTAL_FIXED}
    return [n for n in names if n not in losses and "@" not in n and not n.startswith(FLOOR)]


def _term(runs: Sequence[RunRecord], name: str) -> list[Line]:
    columns: dict[Kind, str] = {
        "floor": f"val/{FLOOR}{name}",
        "training": f"train/{name}",
        "validation": f"val/{name}",
    }
    return _published(runs, name) + _lines(runs, columns)


def _scores(runs: Sequence[RunRecord]) -> list[Panel]:
    columns, panels = _columns(runs), []
    for score, facts in SCORES.items():
        lines = _lines(runs, {"validation": f"sampled/{score}"})
        for name in columns:
            if name.startswith("floor/") and name.endswith(f"/{score}"):
                who = name.removeprefix("floor/").removesuffix(f"/{score}")
                lines += [line._replace(name=who) for line in _lines(runs, {"floor": name})]
        if lines:
            lines = _published(runs, f"sampled/{score}") + lines
            panels.append(Panel(facts.label, lines, facts.unit))
    return panels


def _slots(runs: Sequence[RunRecord], group: str) -> list[Panel]:
    names = [name for name in _columns(runs) if name.startswith(f"{group}/")]
    return [
        Panel(name.partition("/")[2], _lines(runs, {"training": name}), log=True) for name in names
    ]


def _counts(runs: Sequence[RunRecord]) -> list[Panel]:
    """Steps that were skipped or stirred, where there were any."""
    titles = {"skipped": "skipped, not finite", "tripwire": "tripwire of"}
    found = []
    for name in _columns(runs):
        group, _, slot = name.partition("/")
        lines = _lines(runs, {"training": name}) if group in COUNTS else []
        if any(any(line.points.values()) for line in lines):
            found.append(Panel(f"{titles[group]} {slot}".strip(), lines))
    return found


def _lines(runs: Sequence[RunRecord], columns: Mapping[Kind, str]) -> list[Line]:
    return [
        Line(number, kind, points)
        for number, run in enumerate(runs)
        for kind, column in columns.items()
        if (points := run.series(column))
    ]


def _published(runs: Sequence[RunRecord], name: str) -> list[Line]:
    """The published curve of each version among the runs, as far as its runs go."""
    ends: dict[str, int] = {}
    for run in runs:
        ends[run.meta.id] = max(run.epoch, ends.get(run.meta.id, 0))
    lines = []
    for number, run in enumerate(runs):
        package, end = find_versions().items.get(run.meta.id), ends.pop(run.meta.id, 0)
        points = {
            row["epoch"]: value
            for row in (history(package) if package else ())
            if isinstance(value := row.get(PUBLISHED.get(name, name)), int | float)
            and row["epoch"] <= end
        }
        lines += [Line(number, "published", points, run.meta.id)] if points else []
    return lines


def _units(runs: Sequence[RunRecord]) -> dict[str, str]:
    """What each loss is measured in, as its facts begin; nothing for a pure number."""
    return units_of(_losses(runs), {str(run.section("coordinates").get("scale")) for run in runs})


def _lowest(column: str) -> int:
    return int(column.partition("@t")[2].partition("-")[0])
