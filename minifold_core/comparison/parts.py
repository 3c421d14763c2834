"""Slot by slot: components, their parameters, and their settings where they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from minifold_core.assembly import wire
from minifold_core.comparison.sides import Side
from minifold_core.recipe import Recipe
from minifold_core.recipe_diff import Value
from minifold_core.weights.structure import Structure

Counts = dict[str, tuple[int, int]]
"""Slot path to parameters in all and parameters that train."""


@dataclass(frozen=True)
class Filling:
    """What one side has in a slot.

    Attributes:
        component: its name.
        origin: what put it there.
        frozen: whether its weights stay as they are.
        parameters: how many; None for a process, which has none.
        trainable: how many of them train.
        settings: every setting and its origin; empty where all sides have the same.
    """

    component: str
    origin: str
    frozen: bool
    parameters: int | None
    trainable: int | None
    settings: dict[str, Value]


@dataclass(frozen=True)
class Part:
    """A slot, or the process, in all sides; None where a side has nothing there."""

    slot: str
    equal: bool
    sides: tuple[Filling | None, ...]


def count(recipe: Recipe, structure: Structure) -> Counts:
    """Parameters by slot: of what a manifest knows from there, else by building on no memory."""
    if structure.built:
        import torch

        from minifold_core.assembly import assemble

        with torch.device("meta"):
            return assemble(recipe).parameter_counts()
    idle = wire(recipe).idle
    counts = {}
    for path, slot in recipe.slots.items():
        total = sum(map(math.prod, structure.slots[path].values()))
        counts[path] = (total, 0 if slot.frozen or path in idle else total)
    return counts


def compare_parts(sides: Sequence[Side], counts: Sequence[Counts]) -> tuple[Part, ...]:
    """The slots of all sides, in the order in which data flows, then the process."""
    flat = [side.recipe.values() for side in sides]
    paths = dict.fromkeys(path for side in sides for path in side.recipe.slots)
    made = []
    for path in (*paths, *(["process"] if any(side.recipe.process for side in sides) else [])):
        fillings = tuple(
            _filling(side.recipe, values, path, own)
            for side, values, own in zip(sides, flat, counts, strict=True)
        )
        equal = len({_told(filling) for filling in fillings}) == 1
        if equal:
            fillings = tuple(_bare(filling) for filling in fillings)
        made.append(Part(path, equal, fillings))
    return tuple(made)


def _filling(
    recipe: Recipe, values: dict[str, tuple[object, str]], path: str, counts: Counts
) -> Filling | None:
    slot = recipe.parts.get(path)
    if slot is None:
        return None
    settings = {
        key.removeprefix(f"{path}."): Value(*said)
        for key, said in values.items()
        if key.startswith(f"{path}.") and key != f"{path}.component"
    }
    origin = values[f"{path}.component"][1]
    total, trainable = counts.get(path, (None, None))
    return Filling(slot.spec.name, origin, slot.frozen, total, trainable, settings)


def _told(filling: Filling | None) -> str:
    """What makes two fillings the same, wherever it was said."""
    if filling is None:
        return ""
    settings = {key: said.value for key, said in filling.settings.items()}
    return repr((filling.component, filling.parameters, filling.trainable, settings))


def _bare(filling: Filling | None) -> Filling | None:
    return replace(filling, settings={}) if filling else None
