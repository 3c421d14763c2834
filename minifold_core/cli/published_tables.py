"""What ``minifold compare`` prints of published trainings: who passed whose best, and when."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise

from rich.table import Table

from minifold_core.cli.output import table
from minifold_core.comparison.figures import shown
from minifold_core.comparison.milestones import Milestone
from minifold_core.comparison.published import Published, Start
from minifold_core.comparison.static import StaticComparison


def published_tables(static: StaticComparison) -> Iterator[str | Table]:
    """Milestones of each version and the next, then what their cards say is wrong in them.

    Of versions that are sides themselves; runs have tables of their own.
    """
    trained = {side.label for side in static.sides if side.trainings}
    named = [each for each in static.published if not {*each.sides} <= trained]
    known = [each for each in named if each.columns]
    said = {unlike.why for unlike in static.bests.incomparable}
    units: dict[str, str] = {}
    for a, b in pairwise(known):
        both = [m for m in static.milestones if {m.of, m.by} == {a.version, b.version}]
        compared = [m for m in both if not m.incomparable]
        if compared:
            yield f"published figures of {a.version} and {b.version}, by epoch"
            yield _passing(a, b, both)
            units |= {m.figure: m.unit for m in both}
        yield from (*_starts(compared), *_gaps(compared), *_incomparable(both, said))
        yield from (*_alone(a, b), *_alone(b, a))
    if units:
        yield unit_words(units)
    if len(known) > 2:
        yield "other pairs of published tables: --json"
    if len(named) > 1:
        yield from _without_table([each for each in named if not each.columns])
        for each in named:
            yield from _faults(each)


def unit_words(units: Mapping[str, str]) -> str:
    """The unit of each figure, in a sentence."""
    groups: dict[str, list[str]] = {}
    for figure, unit in units.items():
        groups.setdefault(unit, []).append(shown(figure))
    bare = groups.pop("", [])
    told = [f"{', '.join(figures)}: {unit}" for unit, figures in groups.items()]
    told += [f"{', '.join(bare)}: no unit"] if bare else []
    return f"units: {'; '.join(told)}"


def _passing(a: Published, b: Published, both: Sequence[Milestone]) -> Table:
    """A row for each figure: both bests, and where the other one got there."""
    columns = (f"{a.version}'s best", f"{b.version} passes it")
    made = table("figure", *columns, f"{b.version}'s best", f"{a.version} passes it")
    by_figure = {(m.figure, m.of): m for m in both}
    for figure in dict.fromkeys(m.figure for m in both):
        cells: list[str] = []
        for version in (a.version, b.version):
            milestone = by_figure[figure, version]
            cells += [f"{milestone.best.printed} at {milestone.best.epoch}", _reached(milestone)]
        made.add_row(shown(figure), *cells)
    return made


def _reached(milestone: Milestone) -> str:
    if milestone.incomparable:
        return "not comparable"
    reached = milestone.passed or milestone.equalled
    if reached is None:
        alike = milestone.comparable == milestone.printed
        return f"never in {milestone.epochs if alike else milestone.comparable}"
    more = f" ({milestone.along['by']})" if _bracketed(milestone) else ""
    return f"{'at' if milestone.passed else 'equals at'} {reached.epoch}{more}"


def _bracketed(milestone: Milestone) -> bool:
    """Whether its epochs along the lineage are printed."""
    reached, along = milestone.passed or milestone.equalled, milestone.along["by"]
    return reached is not None and along is not None and along != reached.epoch


def _starts(compared: Sequence[Milestone]) -> Iterator[str]:
    """What the numbers in brackets count."""
    counted = {m.by: m for m in compared if _bracketed(m)}
    for version, milestone in counted.items():
        began = _began(milestone.lineage["by"] or ())
        said = f"In brackets, epochs along the lineage: {version} started from {began}"
        if milestone.shared:
            said += f"; {_began(milestone.shared)}, behind both, is left out"
        yield f"{said}."
    for version in {m.by: m for m in compared if m.lineage["by"] is None}:
        yield f"From which epoch of its parent {version} began is not known; its own are counted."


def _began(starts: Sequence[Start]) -> str:
    return " and ".join(f"{start.version}'s epoch {start.epoch}" for start in starts)


def _gaps(compared: Sequence[Milestone]) -> Iterator[str]:
    """Figures that are missing or of another kind in some epochs, so that these do not count."""
    gaps: dict[str, list[str]] = {}
    for each in compared:
        told = []
        if each.printed < each.epochs:
            told.append(f"printed for {each.printed} of the {each.epochs} epochs of {each.by}")
        if each.comparable < each.printed:
            told.append(
                f"{each.of}'s best is compared with {each.comparable} of the {each.printed} epochs "
                f"of {each.by}, those with the same weights"
            )
        for said in told:
            gaps.setdefault(said, []).append(shown(each.figure))
    yield from (f"{', '.join(figures)}: {said}." for said, figures in gaps.items())


def _incomparable(both: Sequence[Milestone], said: Collection[str]) -> Iterator[str]:
    """Why figures are not compared, if that was not said before."""
    for milestone in both[: len(both) // 2]:  # the others say the same the other way round
        if milestone.incomparable and milestone.incomparable not in said:
            yield (
                f"{shown(milestone.figure)} of {milestone.of} and {milestone.by} is not "
                f"comparable: {milestone.incomparable}."
            )


def _alone(version: Published, other: Published) -> Iterator[str]:
    """What the other did not print, from the first epoch with a number to the last."""
    alone = {n: f for n, f in version.figures.items() if n not in other.columns}
    if alone:
        told = (
            f"{shown(name)} {figure.first.printed} → {figure.last.printed}"
            + (f" ({figure.unit})" if figure.unit else "")
            for name, figure in alone.items()
        )
        yield f"Only {version.version} printed, first → last epoch: {', '.join(told)}."


def _without_table(versions: Sequence[Published]) -> Iterator[str]:
    for each in versions:
        some = "the figures of its best epoch alone" if each.best else "no figures"
        yield f"{each.version} published {some}: without a table, nobody passes anybody."


def _faults(version: Published) -> Iterator[str]:
    """What the card says is wrong in the table, and how much more it says."""
    yield from (f"card of {version.version}: {text}" for text in version.faults)
    if count := version.more_faults:
        more = f"{count} {'faults' if count > 1 else 'fault'}"
        also = " more" if version.faults else ""
        yield f"card of {version.version}: {more}{also}: minifold show {version.version}"
