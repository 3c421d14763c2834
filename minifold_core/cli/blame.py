"""Whose fault an error is that nobody foresaw."""

from __future__ import annotations

import traceback

from minifold_core.discovery import Origin, find_components
from minifold_core.plugin_choice import OWN


def blame(error: Exception, arguments: list[str]) -> str:
    """Who is at fault, and what to do: a half-sentence.

    That is whoever owns the innermost frame that is a plugin's or minifold's; libraries are called
    by one of them. In a plugin's command it is that plugin, whatever it calls.

    Args:
        error: with its traceback.
        arguments: of the command line.
    """
    module, plugin = _innermost(error)
    place = f", in {module}" if plugin else ""
    name = next((word for word in arguments if not word.startswith("-")), "")
    command = find_components().commands.get(name)
    if plugin is None and command is not None:
        plugin = command.origin
    if plugin is None:
        return "this is a fault of minifold, --debug shows where"
    return (
        f"this is a fault of plugin {plugin}{place}; --debug shows where. Tell its author, or do "
        "without it (--no-plugins, MINIFOLD_PLUGINS)"
    )


def _innermost(error: Exception) -> tuple[str, Origin | None]:
    """The module of the innermost frame that anybody here owns, and the plugin if it is one's."""
    owners = _owners()
    for frame, _ in reversed(list(traceback.walk_tb(error.__traceback__))):
        module = str(frame.f_globals.get("__name__", ""))
        package = module.partition(".")[0]
        if package in owners:
            return module, owners[package]
    return "", None


def _owners() -> dict[str, Origin | None]:
    """Top-level packages to the plugins that brought them; None for minifold's own."""
    found = find_components()
    packages: dict[str, Origin | None] = {}
    named = [(origin, origin.value) for origin in found.load_ms]
    for offer in found.items.values():
        named += [(offer.origin, offer.spec.config), (offer.origin, offer.spec.implementation)]
    named += [(command.origin, command.target) for command in found.commands.values()]
    for origin, path in named:
        packages.setdefault(path.partition(":")[0].partition(".")[0], origin)
    own = {path for path, origin in packages.items() if origin and origin.distribution == OWN}
    return packages | dict.fromkeys(own | {"minifold_core"})
