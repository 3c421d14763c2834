"""Which installed plugins are used: all, or those that ``MINIFOLD_PLUGINS`` names."""

from __future__ import annotations

import os
from collections.abc import Collection

VARIABLE = "MINIFOLD_PLUGINS"
HOW = f"by --no-plugins or {VARIABLE}"
"""How a plugin comes to be switched off."""
OWN = "minifold"
"""The distribution that is always used."""


def chosen() -> frozenset[str] | None:
    """The plugins, versions and distributions that are named; None for all that are installed."""
    names = frozenset(name.strip() for name in os.environ.get(VARIABLE, "").split(","))
    return names - {""} or None


def switch_all_off() -> None:
    """Use minifold's own alone, in this process and those that it starts (``--no-plugins``)."""
    os.environ[VARIABLE] = OWN


def is_used(name: str, distribution: str, plugins: Collection[str]) -> bool:
    """Whether an entry point is to be used.

    Args:
        name: of the plugin or version.
        distribution: that brings it.
        plugins: names of that distribution's plugins; who is named brings its versions along.
    """
    named = chosen()
    return (
        named is None or distribution == OWN or not named.isdisjoint({name, distribution, *plugins})
    )
