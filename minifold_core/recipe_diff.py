"""In what recipes differ, and what one says otherwise than the version that it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from minifold_core.discovery import find_versions
from minifold_core.recipe import Recipe, load_recipe

COMPONENT = ".component"


@dataclass(frozen=True)
class Value:
    """A value of a recipe and the file, flag or default that it comes from."""

    value: Any
    origin: str


class Change(NamedTuple):
    """A value of a version and of a recipe; None where one of them has no such key."""

    version: Any
    recipe: Any


def value_text(value: Any) -> str:
    """A value of a recipe for people: numbers in short, a ramp of weights in words."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping) and {"start", "end", "epochs"} <= value.keys():
        start, end = value_text(value["start"]), value_text(value["end"])
        return f"{start} → {end} over {value['epochs']} epochs"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {value_text(own)}" for key, own in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(value_text, value)) or "none"
    return str(value)


def nearest_version(recipe: Recipe) -> str | None:
    """The recipe's own version, or the last of its ancestors that is installed."""
    known = find_versions().items
    return next((name for name in reversed(recipe.lineage) if name in known), None)


def differences(recipes: Sequence[Recipe]) -> dict[str, tuple[Value | None, ...]]:
    """Dotted key to the value of each recipe, None where it has none; of keys that differ.

    Defaults are written out. Where one recipe has a plain value and another a table, as the weight
    of a loss and its ramp, the table is one value.
    """
    flat = [
        {key: Value(value, origin) for key, (value, origin) in recipe.values().items()}
        for recipe in recipes
    ]
    plain = {key for values in flat for key in values}
    folded = [_folded(values, plain) for values in flat]
    found = {}
    for key in dict.fromkeys(key for values in folded for key in values):
        said = tuple(values.get(key) for values in folded)
        first = said[0]
        if any(each is None or first is None or each.value != first.value for each in said):
            found[key] = said
    return found


def swapped(keys: Sequence[str]) -> tuple[str, ...]:
    """The parts that have different components, as the beginnings of their keys."""
    return tuple(key.removesuffix("component") for key in keys if key.endswith(COMPONENT))


def changes(recipe: Recipe, version: str) -> dict[str, Change]:
    """Dotted key to what changed, defaults written out; of a swapped part the component alone.

    Raises:
        RequestError: the version has no such size.
    """
    found = differences([load_recipe(version, recipe.size), recipe])
    others = swapped(list(found))
    return {
        key: Change(*(each.value if each else None for each in said))
        for key, said in found.items()
        if key.endswith(COMPONENT) or not key.startswith(others)
    }


def _folded(values: dict[str, Value], plain: set[str]) -> dict[str, Value]:
    """The values, those of a table as one where ``plain`` has a plain value of its name."""
    folded: dict[str, Value] = {}
    for key, said in values.items():
        table, _, name = key.rpartition(".")
        if table in plain:
            before = folded.get(table, Value({}, said.origin))
            folded[table] = Value(before.value | {name: said.value}, said.origin)
        else:
            folded[key] = said
    return folded
