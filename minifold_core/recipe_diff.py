"""What a recipe says otherwise than the version that it comes from."""

from __future__ import annotations

from typing import Any, NamedTuple

from minifold_core.discovery import find_versions
from minifold_core.recipe import Recipe, load_recipe

COMPONENT = ".component"


class Change(NamedTuple):
    """A value of a version and of a recipe; None where one of them has no such key."""

    version: Any
    recipe: Any


def nearest_version(recipe: Recipe) -> str | None:
    """The recipe's own version, or the last of its ancestors that is installed."""
    known = find_versions().items
    return next((name for name in reversed(recipe.lineage) if name in known), None)


def changes(recipe: Recipe, version: str) -> dict[str, Change]:
    """Dotted key to what changed, defaults written out; of a swapped part the component alone.

    Raises:
        RequestError: the version has no such size.
    """
    mine = {key: value for key, (value, _) in recipe.values().items()}
    base = {key: value for key, (value, _) in load_recipe(version, recipe.size).values().items()}
    own, theirs = _folded(mine, base), _folded(base, mine)
    found = {
        key: Change(theirs.get(key), own.get(key))
        for key in dict.fromkeys([*theirs, *own])
        if theirs.get(key) != own.get(key)
    }
    swapped = [key.removesuffix("component") for key in found if key.endswith(COMPONENT)]
    return {
        key: change
        for key, change in found.items()
        if key.endswith(COMPONENT) or not any(key.startswith(path) for path in swapped)
    }


def _folded(values: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    """The values, those of a table as one where ``plain`` has a plain value: ramps of weights."""
    folded: dict[str, Any] = {}
    for key, value in values.items():
        table, _, name = key.rpartition(".")
        if table in plain:
            folded.setdefault(table, {})[name] = value
        else:
            folded[key] = value
    return folded
