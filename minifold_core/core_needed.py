"""Which minifold an installed distribution says that it needs."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires

from minifold_core.entry_points import Origin, Problem
from minifold_core.plugin_choice import OWN
from minifold_core.version import __version__


def unmet(origin: Origin) -> Problem | None:
    """What is wrong if this minifold is not one that a plugin's or version's distribution needs.

    Too slow for listings of models: importing ``packaging`` takes some ten milliseconds.
    """
    if origin.distribution == OWN:
        return None
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = requires(origin.distribution) or []
        needed = [Requirement(line) for line in lines]
    except (PackageNotFoundError, InvalidRequirement):  # pip would not have installed it
        return None
    for need in needed:
        if canonicalize_name(need.name) != OWN or need.specifier.contains(__version__, True):
            continue
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            asked = f"{OWN}{need.specifier}"
            return Problem(
                origin,
                f"it needs {asked}, this is {OWN} {__version__}",
                f"pip install '{asked}', or uninstall {origin.distribution}",
            )
    return None
