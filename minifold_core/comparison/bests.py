"""The best total of each side, published or its runs' own, and whether they can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from minifold_core.comparison.common import TOTAL
from minifold_core.comparison.figures import incomparable, shown, weights_at
from minifold_core.comparison.published import EPOCH, Published
from minifold_core.comparison.sides import Side
from minifold_core.recipe import Recipe
from minifold_core.registry import PUBLISHED
from minifold_core.runs import METRICS


@dataclass(frozen=True)
class Best:
    """A best epoch.

    Attributes:
        label: of the side.
        training: the run, as the user wrote it; empty for what was published.
        column: of the table that it was read from: a total, or without one the first figure.
        figure: the same for people.
        value: of the figure.
        epoch: the best one.
        size: of the model that it was measured on.
        data: what it was trained on, and validated on another part of; empty if not known.
        files: what it was read from.
    """

    label: str
    training: str
    column: str
    figure: str
    value: float
    epoch: int
    size: str
    data: str
    files: tuple[str, ...]

    @property
    def published(self) -> bool:
        """Whether it is not of a run."""
        return not self.training


@dataclass(frozen=True)
class Unlike:
    """Two sides, one after the other, whose bests cannot be compared, and why."""

    sides: tuple[str, str]
    why: str


@dataclass(frozen=True)
class Bests:
    """All bests, and what must not be read from them."""

    rows: tuple[Best, ...]
    incomparable: tuple[Unlike, ...]


def bests_of(sides: Sequence[Side], published: Sequence[Published]) -> Bests:
    """The bests of all sides; a version's are those of its full size."""
    records = {label: each for each in published for label in each.sides}
    found = [_own(side) if side.members else _published(side, records) for side in sides]
    first = [(side, rows[0]) for side, rows in zip(sides, found, strict=True) if rows]
    unlike = (
        Unlike((a.label, b.label), why)
        for (a, one), (b, two) in pairwise(first)
        if (why := _unlike(*_with(a, one, records), *_with(b, two, records)))
    )
    return Bests(tuple(best for rows in found for best in rows), tuple(unlike))


def _published(side: Side, records: dict[str, Published]) -> list[Best]:
    record = records.get(side.label)
    if record is None or record.best is None:
        return []
    figures = {name: value for name, value in record.best.items() if name != EPOCH}
    column = next(iter([*(PUBLISHED["total"],) * (PUBLISHED["total"] in figures), *figures]))
    return [
        Best(
            *(side.label, "", column, shown(column), figures[column], record.best[EPOCH]),
            *(record.recipe.size, "", (record.files["best"],)),
        )
    ]


def _own(side: Side) -> list[Best]:
    made = []
    for member in side.members:
        if member.run and member.run.best:
            epoch, total = member.run.best
            data = member.header.data_digest or member.header.data if member.header else ""
            made.append(
                Best(
                    *(side.label, member.name, TOTAL, shown(TOTAL), total, epoch),
                    *(side.recipe.size, data, (str(member.run.directory / METRICS),)),
                )
            )
    return made


def _with(side: Side, best: Best, records: dict[str, Published]) -> tuple[Best, Recipe]:
    return best, records[side.label].recipe if best.published else side.recipe


def _unlike(a: Best, first: Recipe, b: Best, other: Recipe) -> str:
    """Why two bests are not of one kind; empty if they are."""
    if a.published != b.published:
        return "one was published, of other chains than the run's"
    if a.column != b.column:
        return f"one is {a.figure}, the other {b.figure}"
    if a.data != b.data:
        return "the runs were trained and validated on different data"
    at = [best.epoch if best.published else None for best in (a, b)]
    weights = (weights_at(first, at[0]), weights_at(other, at[1]))
    where = "at these epochs" if a.published else "ramps at their end"
    return incomparable(a.column, first, other, weights, where)
