"""Figures of trainings: their names, units, which way is better, and when two are of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from minifold_core.comparison.common import TOTAL as TOTAL_FIXED
from minifold_core.comparison.common import definitions_differ
from minifold_core.evaluation.scores import SCORES
from minifold_core.loss_units import units_of
from minifold_core.recipe import Recipe
from minifold_core.registry import PUBLISHED

TOTAL, SAMPLED = "total", "sampled/"
SHOWN = 3
"""Weights that a reason names before it counts the others."""
_OUR_NAMES = {column: name for name, column in PUBLISHED.items()}

Weights = Mapping[str, float]
"""Loss to the weight that it has in a total."""


def our_name(column: str) -> str:
    """What minifold calls a column of a published table."""
    return _OUR_NAMES.get(column, column)


def shown(column: str) -> str:
    """A column's name for people: of totals ``total``, with the weights of its epoch."""
    if our_name(column) == TOTAL:
        return TOTAL
    return "total, ramps at their end" if column == TOTAL_FIXED else column


def units(columns: Iterable[str], recipes: Sequence[Recipe]) -> dict[str, str]:
    """Column to unit; empty for a number without one."""
    names = {column: our_name(column) for column in columns}
    lost = units_of(
        (name for name in names.values() if any(name in recipe.losses for recipe in recipes)),
        {recipe.coordinates.scale for recipe in recipes},
    )
    sampled = {f"{SAMPLED}{name}": score.unit for name, score in SCORES.items()}
    return {column: (lost | sampled).get(name, "") for column, name in names.items()}


def better(column: str, *recipes: Recipe) -> Literal["higher", "lower"] | None:
    """Which values of a column are better; None for what is no figure of merit."""
    name = our_name(column)
    if name.startswith(SAMPLED):
        score = SCORES.get(name.removeprefix(SAMPLED))
        return score.better if score else None
    if name in (TOTAL, TOTAL_FIXED) or all(name in recipe.losses for recipe in recipes):
        return "lower"
    return "higher" if name.endswith(("_accuracy", "_recall")) else None


def weights_at(recipe: Recipe, epoch: int | None) -> Weights:
    """The weights in a total at an epoch; with None those when every ramp has ended."""
    return {
        name: term.final_weight if epoch is None else term.weight_at(epoch)
        for name, term in recipe.losses.items()
    }


def incomparable(
    column: str, a: Recipe, b: Recipe, weights: tuple[Weights, Weights], where: str
) -> str:
    """Why two values of a column are not of one kind; empty if they are.

    Args:
        column: of both tables.
        a: the recipe of the first.
        b: the recipe of the second.
        weights: of their totals.
        where: when the totals have these weights.
    """
    name = our_name(column)
    sampled = name.startswith(SAMPLED)
    if a.coordinates.scale != b.coordinates.scale and not sampled:
        return f"coordinates.scale is {a.coordinates.scale} and {b.coordinates.scale}"
    if name in (TOTAL, TOTAL_FIXED):
        return _totals(a, b, weights, where)
    if name in a.losses and name in b.losses:
        return _other_definition(name, a, b)
    return "they were sampled with other settings" if sampled and a.sampling != b.sampling else ""


def _totals(a: Recipe, b: Recipe, weights: tuple[Weights, Weights], where: str) -> str:
    said: list[str] = []
    for name in dict.fromkeys((*a.losses, *b.losses)):
        one, two = (own.get(name, 0.0) for own in weights)
        if one != two:
            said.append(f"{name} {'' if said else 'weighs '}{one:.3g} and {two:.3g}")
    settings = (
        _other_definition(name, a, b) for name in a.active_losses if name in b.active_losses
    )
    differ = [f"{_some(said)} ({where})"] if said else []
    return "; ".join([*differ, *filter(None, settings)])


def _other_definition(name: str, a: Recipe, b: Recipe) -> str:
    """Why the values of a loss are not of one kind; empty if they are."""
    differing = definitions_differ(name, a, b)
    return f"{name}: {differing}" if differing else ""


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
