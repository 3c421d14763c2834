"""What is found wrong with a plugin only by looking closer than loading it does."""

from __future__ import annotations

from importlib.metadata import EntryPoint

from minifold_core.components import ComponentSpec, load
from minifold_core.discovery import find_components
from minifold_core.entry_points import PLUGIN_GROUP, Origin, Problem
from minifold_core.errors import MinifoldError
from minifold_core.light import heavy_imports
from minifold_core.plugin_choice import OWN
from minifold_core.plugin_loading import load_plugin


def look_closer(origin: Origin) -> Problem | None:
    """Whether configs and commands of a loaded plugin are there, and import nothing heavy.

    Minifold's own plugins are left to its tests: listing stays fast.
    """
    if origin.distribution == OWN:
        return None
    found = find_components()
    try:
        for offer in found.items.values():
            if offer.origin == origin:
                offer.spec.config_class()
        for command in found.commands.values():
            if command.origin == origin:
                load(command.target)
        heavy = heavy_imports(
            f"from minifold_core.plugin_check import load_lightly; "
            f"load_lightly({origin.name!r}, {origin.value!r})"
        )
    except (MinifoldError, ImportError) as error:
        cause, _, mend = str(error).rpartition("; ")
        return Problem(origin, cause or mend, mend if cause else f"mend {origin.distribution}")
    if not heavy:
        return None
    names = ", ".join(heavy)
    return Problem(
        origin,
        f"it imports {names} where it is only listed",
        f"import {names} only in the modules that its components name as implementation, or "
        f"inside functions; or uninstall {origin.distribution}",
    )


def import_fault(spec: ComponentSpec) -> str | None:
    """Why a component cannot be imported, config or implementation; None if it can."""
    try:
        spec.config_class()
        spec.implementation_class()
    except MinifoldError as error:
        return str(error)
    return None


def load_lightly(name: str, value: str) -> None:
    """Import what commands import that only list and check: plugin, configs and commands."""
    plugin = load_plugin(EntryPoint(name, value, PLUGIN_GROUP))
    for spec in plugin.components:
        spec.config_class()
    for target in plugin.commands.values():
        load(target)
