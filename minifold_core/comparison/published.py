"""What was published of the versions that are compared, as their tables have it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Literal, NamedTuple

from minifold_core.cards import card_of
from minifold_core.comparison.figures import better, units
from minifold_core.comparison.sides import Side
from minifold_core.comparison.sources import CARD, LINEAGE, TABLE, path_in_tree, registry_of
from minifold_core.discovery import VersionPackage, find_versions
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.recipe_tree import FULL
from minifold_core.registry import printed_history, published_best
from minifold_core.weights.lineage import read_step

EPOCH = "epoch"
_OF_TABLES = re.compile(r"\b(tables?|rows?|totals?|epochs?|TM-scores?)\b", re.IGNORECASE)


class Point(NamedTuple):
    """A figure of an epoch: its number, and as it was printed."""

    epoch: int
    value: float
    printed: str


class Figure(NamedTuple):
    """A column of a table: its unit, its first, last and best point; some have no best."""

    unit: str
    first: Point
    last: Point
    best: Point | None


class Start(NamedTuple):
    """Where a published run began: after that many epochs of another version."""

    version: str
    epoch: int


@dataclass(frozen=True)
class Published:
    """The published record of one version.

    Attributes:
        version: its id.
        sides: labels of the sides that belong to it.
        best: the figures of its best epoch; None if none were published.
        epochs: the last epoch of its table; 0 without a table.
        columns: figure to its printed points, in the order of epochs.
        figures: the same in short.
        began: the epochs behind the weights that it began with, the oldest first; empty if it
            began with its own, None if that is not known.
        faults: what its card says is wrong in the table, or beside another of these versions.
        more_faults: how many others the card has.
        recipe: at full size, as it was published.
        files: what all this was read from.
    """

    version: str
    sides: tuple[str, ...]
    best: dict[str, Any] | None
    epochs: int
    columns: dict[str, tuple[Point, ...]]
    figures: dict[str, Figure]
    began: tuple[Start, ...] | None
    faults: tuple[str, ...]
    more_faults: int
    recipe: Recipe = field(repr=False)
    files: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``, without the recipe, and of the table its length."""
        return {
            "version": self.version,
            "sides": list(self.sides),
            "best": self.best,
            "epochs": self.epochs,
            "began": None if self.began is None else [start._asdict() for start in self.began],
            "figures": {
                name: {"unit": figure.unit}
                | {
                    at: p and p._asdict()
                    for at, p in zip(figure._fields[1:], figure[1:], strict=True)
                }
                for name, figure in self.figures.items()
            },
            "faults": list(self.faults),
            "more_faults": self.more_faults,
            "files": self.files,
        }


def published_of(sides: Sequence[Side]) -> tuple[Published, ...]:
    """The record of every version that a side belongs to, each once."""
    packages = {side.package.id: side.package for side in sides if side.package}
    return tuple(
        _read(
            package,
            [side for side in sides if side.package == package],
            [other for other in packages if other != name],
        )
        for name, package in packages.items()
    )


def _read(package: VersionPackage, sides: Sequence[Side], others: Sequence[str]) -> Published:
    rows = [row for row in printed_history(package) if row.get(EPOCH, "").isdecimal()]
    card = card_of(package)
    as_published = (s.recipe for s in sides if not s.members and s.recipe.size == FULL)
    recipe = next(as_published, None) or load_recipe(package.id)
    wrong = card.wrong if card else ()
    faults = tuple(text for text in wrong if _matters(text, others))
    columns = {column: _points(rows, column) for column in (rows[0] if rows else ())}
    columns = {column: points for column, points in columns.items() if points}
    named = {"table": TABLE, "start": LINEAGE, "faults": CARD}
    files = {
        what: path_in_tree(package, file)
        for what, file in named.items()
        if (package.directory / file).is_file()
    }
    return Published(
        version=package.id,
        sides=tuple(side.label for side in sides),
        best=published_best(package),
        epochs=max((int(row[EPOCH]) for row in rows), default=0),
        columns=columns,
        figures=_figures(columns, recipe),
        began=began_of(package.id),
        faults=faults,
        more_faults=len(wrong) - len(faults),
        recipe=recipe,
        files=files | {"best": files["table"] if rows else registry_of(package)},
    )


def _figures(columns: dict[str, tuple[Point, ...]], recipe: Recipe) -> dict[str, Figure]:
    known = units(columns, [recipe])
    return {
        name: Figure(
            *(known[name], points[0], points[-1]),
            best=best_point(points, way) if (way := better(name, recipe)) else None,
        )
        for name, points in columns.items()
    }


def best_point(points: Sequence[Point], way: Literal["higher", "lower"]) -> Point:
    """The best of some points, of equal ones the first."""
    sign = -1 if way == "higher" else 1
    return min(points, key=lambda point: (sign * point.value, point.epoch))


def _points(rows: Sequence[dict[str, str]], column: str) -> tuple[Point, ...]:
    """The numbers of a column; empty for one that holds words."""
    points = []
    for row in rows:
        printed = row.get(column) or ""
        try:
            points += [Point(int(row[EPOCH]), float(printed), printed)] if printed else []
        except ValueError:
            return ()
    return tuple(points) if column != EPOCH else ()


def began_of(version: str) -> tuple[Start, ...] | None:
    """The epochs that a version's published run had behind it when it began."""
    step = read_step(version) if version in find_versions().items else None
    if step is None:
        return ()
    if step.from_epoch is not None:
        before = began_of(step.parent)
        return None if before is None else (*before, Start(step.parent, step.from_epoch))
    return None if "denoiser" in step.exact else ()


def epochs_behind(versions: Sequence[str]) -> dict[str, int]:
    """Epochs that the run of each version had behind it, without what all of them have in common.

    A version of which that is not known is left out.
    """
    chains = {name: chain for name in versions if (chain := began_of(name)) is not None}
    steps = zip(*chains.values(), strict=False)
    shared = len(list(takewhile(lambda starts: len({*starts}) == 1, steps)))
    return {name: sum(start.epoch for start in chain[shared:]) for name, chain in chains.items()}


def _matters(text: str, others: Sequence[str]) -> bool:
    """Whether a fault touches the table, or the comparison with another version."""
    named = any(re.search(rf"\b{re.escape(other)}\b", text) for other in others)
    return named or bool(_OF_TABLES.search(text))
