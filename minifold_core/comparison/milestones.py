"""When one published training passed the best of another: by its own epochs and by the lineage's.

A version that began with another's weights has that training behind it. Its epochs are counted
twice: from its own beginning, and from where the two trainings parted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import permutations, takewhile
from typing import Any, Literal

from minifold_core.comparison.figures import better, incomparable, shown, weights_at
from minifold_core.comparison.published import Point, Published, Start, best_point
from minifold_core.comparison.sources import lineages


@dataclass(frozen=True)
class Milestone:
    """The best of one version, and the epoch at which another got there.

    Attributes:
        figure: the column of both tables.
        unit: of the figure; empty for a number without one.
        of: the version whose best it is.
        best: its first best epoch.
        by: the version that may pass it.
        epochs: how many it has in its table.
        printed: for how many of them the figure is printed; it may have got there between them.
        comparable: how many of these are of one kind with the best: where a weight has a ramp,
            totals are so only at some epochs.
        equalled: the first epoch of these that is as good; None if none is.
        passed: the first that is better.
        shared: the trainings behind both, which are counted for neither.
        lineage: the trainings that each (``of``, ``by``) began with and that are not behind both;
            None where that is not known.
        along: epochs since the two parted, up to the best (``of``) and up to where it was passed,
            else equalled (``by``); None where that is not known or never.
        incomparable: why the figures are not of one kind; empty if they are.
        files: the tables and the files that the lineage was read from.
    """

    figure: str
    unit: str
    of: str
    best: Point
    by: str
    epochs: int
    printed: int
    comparable: int
    equalled: Point | None
    passed: Point | None
    shared: tuple[Start, ...]
    lineage: dict[str, tuple[Start, ...] | None]
    along: dict[str, int | None]
    incomparable: str
    files: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``, with the sentence."""
        points = ("best", "equalled", "passed")
        plain = asdict(self)
        plain |= {k: p._asdict() if (p := getattr(self, k)) else None for k in points}
        plain["shared"] = [start._asdict() for start in self.shared]
        plain["lineage"] = {
            who: None if chain is None else [start._asdict() for start in chain]
            for who, chain in self.lineage.items()
        }
        return plain | {"words": self.words}

    @property
    def words(self) -> str:
        """One sentence."""
        figure, at = shown(self.figure), self.best
        best = f"{self.of}'s best {figure}, {at.printed} at epoch {at.epoch},"
        if self.incomparable:
            return f"{best} is not compared with {self.by}'s: {self.incomparable}"
        reached, verb = (self.passed, "passes") if self.passed else (self.equalled, "equals")
        if reached is None:
            some = "" if self.printed == self.epochs else f"the {self.printed} printed of "
            if self.comparable < self.printed:
                some = f"the {self.comparable} comparable of "
            return f"{self.by} never reaches {best} in {some}{_epochs(self.epochs)}"
        said = f"{self.by} {verb} {best} at its epoch {reached.epoch} with {reached.printed}"
        chain = self.lineage["by"]
        if chain is None:
            return f"{said}; from which epoch of its parent it began is not known"
        began = " and ".join(f"{start.version}'s epoch {start.epoch}" for start in chain)
        said += f", having started from {began}" if began else ""
        if not (chain or self.lineage["of"]) or self.along["by"] is None:
            return said
        return f"{said}: {_epochs(self.along['by'])} along the lineage, to {self.along['of']}"


def milestones(published: Sequence[Published]) -> tuple[Milestone, ...]:
    """For every two versions with tables, both ways, every figure that both printed."""
    return tuple(
        _milestone(figure, a, b, way)
        for a, b in permutations(published, 2)
        for figure in a.columns
        if figure in b.columns and (way := better(figure, a.recipe, b.recipe))
    )


def _milestone(
    figure: str, a: Published, b: Published, way: Literal["higher", "lower"]
) -> Milestone:
    sign = -1 if way == "higher" else 1
    best = best_point(a.columns[figure], way)
    weights = weights_at(a.recipe, best.epoch)
    reasons = {
        point: incomparable(
            *(figure, a.recipe, b.recipe),
            weights=(weights, weights_at(b.recipe, point.epoch)),
            where="at these epochs",
        )
        for point in b.columns[figure]
    }
    points = [point for point, why in reasons.items() if not why]
    why = "" if points else reasons[best_point(b.columns[figure], way)]
    equalled = next((p for p in points if sign * p.value <= sign * best.value), None)
    passed = next((p for p in points if sign * p.value < sign * best.value), None)
    reached = passed or equalled
    shared, lineage, along = _along(a, best, b, reached)
    behind = (start.version for each in (a, b) for start in each.began or ())
    files = {a.files["table"], b.files["table"], *lineages((a.version, b.version, *behind))}
    return Milestone(
        figure=figure,
        unit=a.figures[figure].unit,
        of=a.version,
        best=best,
        by=b.version,
        epochs=b.epochs,
        printed=len(reasons),
        comparable=len(points),
        equalled=equalled,
        passed=passed,
        shared=shared,
        lineage=lineage,
        along=along,
        incomparable=why,
        files=tuple(sorted(files)),
    )


def _along(
    a: Published, best: Point, b: Published, reached: Point | None
) -> tuple[tuple[Start, ...], dict[str, tuple[Start, ...] | None], dict[str, int | None]]:
    """What is behind both, what each began with since they parted, and the epochs since then."""
    if a.began is None or b.began is None:
        return (), {"of": a.began, "by": b.began}, {"of": None, "by": None}
    pairs = zip(a.began, b.began, strict=False)
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    of, by = a.began[shared:], b.began[shared:]
    before, behind = (sum(start.epoch for start in chain) for chain in (of, by))
    along = {"of": before + best.epoch, "by": behind + reached.epoch if reached else None}
    return a.began[:shared], {"of": of, "by": by}, along


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"
