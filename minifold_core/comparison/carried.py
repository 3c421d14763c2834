"""What weights carry over from one side to the next, by the plan of a migration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from minifold_core.comparison.sides import Side
from minifold_core.comparison.sources import lineages, path_of
from minifold_core.weights.plan import plan_migration
from minifold_core.weights.report import Report
from minifold_core.weights.structure import Structure, versions_of


@dataclass(frozen=True)
class Carried:
    """The weights of one side in the model of another.

    Attributes:
        source: label of the side that gives them.
        target: label of the side that takes them.
        parameters: how many are carried.
        percent: of the target's parameters.
        percent_of_source: of the source's parameters.
        refused: why ``minifold migrate`` refuses without ``--allow-mismatch``; empty if it does
            not.
        slots: what becomes of each slot's tensors, and why.
        notes: what else is to be known.
        files: what the tensors of both were read from, and the lineage between them.
    """

    source: str
    target: str
    parameters: int
    percent: float
    percent_of_source: float
    refused: tuple[str, ...]
    slots: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    files: tuple[str, ...]


def carry(sides: Sequence[Side], structures: Sequence[Structure]) -> tuple[Carried, ...]:
    """From each side to the one after it."""
    pairs = list(zip(sides, structures, strict=True))
    return tuple(_carried(*before, *after) for before, after in pairwise(pairs))


def tensors_from(side: Side, structure: Structure) -> str:
    """The file that a side's tensors are known from."""
    if structure.built:
        return path_of(side.source)
    return path_of(f"{versions_of(side.recipe.lineage)[-1]}/manifest.json")


def _carried(source: Side, a: Structure, target: Side, b: Structure) -> Carried:
    report = Report.of(plan_migration(a, b))
    ours, theirs = source.recipe.lineage, target.recipe.lineage
    steps = [n for n in dict.fromkeys((*ours, *theirs)) if (n in ours) != (n in theirs)]
    have = sum(math.prod(shape) for shape in a.tensors.values())
    return Carried(
        source.label,
        target.label,
        report.given,
        _percent(report.given, report.total),
        _percent(report.given, have),
        tuple(report.refused),
        tuple(asdict(row) for row in report.rows),
        tuple(report.notes),
        (tensors_from(source, a), tensors_from(target, b), *lineages(steps)),
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), 1)
