"""Recipes value by value, and their losses side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minifold_core.comparison.figures import units
from minifold_core.comparison.sides import Side
from minifold_core.recipe import Recipe
from minifold_core.recipe_diff import COMPONENT, Value, differences, value_text

GROUPS = ("parts", "losses", "metrics", "process", "training", "sampling", "coordinates")
SCALES = "training.learning_rate_scale."
UNSCALED = Value(1, "default of training")


@dataclass(frozen=True)
class Row:
    """A value that differs.

    Attributes:
        key: dotted, as ``--set`` takes it.
        group: one of :data:`GROUPS`.
        sides: the value of each; None where a side has no such key.
    """

    key: str
    group: str
    sides: tuple[Value | None, ...]


@dataclass(frozen=True)
class Weight:
    """The weight of a loss in one side.

    Attributes:
        value: a number, or a ramp's ``start``, ``end`` and ``epochs``.
        text: the same for people.
        origin: the file, flag or default that it comes from.
    """

    value: Any
    text: str
    origin: str


@dataclass(frozen=True)
class Loss:
    """The weights of a loss in all sides; None where a side does not have it.

    ``unit`` is that of the loss, before it is weighted; empty for a number without one.
    """

    loss: str
    unit: str
    equal: bool
    sides: tuple[Weight | None, ...]


def compare_values(sides: Sequence[Side]) -> tuple[Row, ...]:
    """What differs beside components and weights of losses, with settings that only some have.

    Of a part or a loss that a side does not have at all, only the settings in which the others
    differ.
    """
    recipes = [side.recipe for side in sides]
    found = differences(recipes)
    parts = [*dict.fromkeys(path for recipe in recipes for path in recipe.parts)]
    lacking = tuple(f"{path}." for path in parts if any(path not in r.parts for r in recipes))
    lacking += tuple(
        f"losses.{name}."
        for name in {name for recipe in recipes for name in recipe.losses}
        if any(name not in recipe.losses for recipe in recipes)
    )
    rows = [
        Row(key, _group(key), _in_force(key, said, recipes))
        for key, said in found.items()
        if not (key.startswith("losses.") and _is_weight(key))
        and key.removesuffix(COMPONENT) not in parts
        and not (key.startswith(lacking) and len({repr(v.value) for v in said if v}) == 1)
    ]
    return tuple(sorted(rows, key=lambda row: (GROUPS.index(row.group), _place(row.key, parts))))


def compare_losses(sides: Sequence[Side]) -> tuple[Loss, ...]:
    """The weights of all losses that any side counts."""
    recipes = [(side.recipe, side.recipe.values()) for side in sides]
    names = dict.fromkeys(name for recipe, _ in recipes for name in recipe.active_losses)
    known = units(names, [recipe for recipe, _ in recipes])
    made = []
    for name in names:
        weights = tuple(_weight(*recipe, name) for recipe in recipes)
        equal = len({weight.text if weight else "" for weight in weights}) == 1
        made.append(Loss(name, known[name], equal, weights))
    return tuple(made)


def _weight(recipe: Recipe, values: Mapping[str, tuple[Any, str]], name: str) -> Weight | None:
    term = recipe.losses.get(name)
    if term is None:
        return None
    key = f"losses.{name}.weight"
    origins = [said[1] for k, said in values.items() if f"{k}.".startswith(f"{key}.")]
    weight = term.table()["weight"]
    return Weight(weight, value_text(weight), origins[-1])


def _in_force(
    key: str, said: tuple[Value | None, ...], recipes: Sequence[Recipe]
) -> tuple[Value | None, ...]:
    """The values, with the factor 1 of learning rates that are not scaled."""
    path = key.removeprefix(SCALES)
    if path == key:
        return said
    return tuple(
        UNSCALED if value is None and path in recipe.slots else value
        for value, recipe in zip(said, recipes, strict=True)
    )


def _place(key: str, parts: Sequence[str]) -> int:
    """Where a key's part stands among the parts; 0 for what is of none."""
    return next((n for n, path in enumerate(parts) if key.startswith(f"{path}.")), 0)


def _is_weight(key: str) -> bool:
    return key.split(".")[2] == "weight"


def _group(key: str) -> str:
    first = key.partition(".")[0]
    return first if first in GROUPS else "parts"
