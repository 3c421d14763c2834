"""What is known of each side by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minifold_core.comparison.carried import tensors_from
from minifold_core.comparison.parts import Counts
from minifold_core.comparison.sides import Member, Side
from minifold_core.comparison.sources import path_of, registry_of
from minifold_core.registry import entry
from minifold_core.runs import METRICS
from minifold_core.weights.structure import Structure


@dataclass(frozen=True)
class Training:
    """How far one training of a side went.

    Attributes:
        name: the run or file, as the user wrote it.
        weights: the weights that stand for it; empty for a run that has none yet.
        epoch: of these weights, as their header says; None if it is not known.
        seed: of the run, if it is known.
        data: the training data, by name.
        best: best epoch and its total, ramps at their end, in the run's table.
        files: what this was read from.
    """

    name: str
    weights: str
    epoch: int | None
    seed: int | None
    data: str
    best: dict[str, Any] | None
    files: dict[str, str]


@dataclass(frozen=True)
class Facts:
    """One side by itself.

    Attributes:
        label: what the comparison calls it.
        argument: what the user wrote.
        id: of the recipe.
        size: of the model.
        lineage: ids from the root ancestor to the recipe itself.
        summary: one line of the registry, of an installed version.
        status: likewise.
        parameters: of the model.
        trainable: how many of them train.
        built: whether the model had to be built to be counted, with torch.
        trainings: the runs and weights.
        origin: what values that stand in the side's own recipe have as their origin.
        files: what this was read from.
    """

    label: str
    argument: str
    id: str
    size: str
    lineage: tuple[str, ...]
    summary: str
    status: str
    parameters: int
    trainable: int
    built: bool
    trainings: tuple[Training, ...]
    origin: str
    files: dict[str, str]


def facts_of(side: Side, counts: Counts, structure: Structure) -> Facts:
    """The facts of a side."""
    known = entry(side.package) if side.package else None
    total, trainable = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    files = {"recipe": path_of(side.source), "parameters": tensors_from(side, structure)}
    return Facts(
        label=side.label,
        argument=side.argument,
        id=side.recipe.id,
        size=side.recipe.size,
        lineage=side.recipe.lineage,
        summary=known.summary if known else "",
        status=known.status if known else "",
        parameters=total,
        trainable=trainable,
        built=structure.built,
        trainings=tuple(map(_training, side.members)),
        origin=side.source,
        files=files | ({"summary": registry_of(side.package)} if side.package else {}),
    )


def _training(member: Member) -> Training:
    header, run = member.header, member.run
    best = run.best if run else None
    files = {"weights": str(member.weights)} if member.weights else {}
    return Training(
        name=member.name,
        weights=str(member.weights or ""),
        epoch=header.epoch if header else None,
        seed=member.seed,
        data=header.data if header else "",
        best={"epoch": best[0], "total": best[1]} if best else None,
        files=files | ({"best": str(run.directory / METRICS)} if run and best else {}),
    )
