"""Find plugins and versions through entry points, one at a time, so that no bad one harms another.

Nothing here imports torch; versions are found without importing their package.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from minifold_core import plugin_choice
from minifold_core.console import note
from minifold_core.entry_points import (
    PLUGIN_GROUP,
    VERSION_GROUP,
    Found,
    Origin,
    Problem,
    points_in_use,
    settled,
)
from minifold_core.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    from minifold_core.components import ComponentSpec, Kind


@dataclass(frozen=True)
class VersionPackage:
    """An installed version: a package directory that holds ``recipe.toml``."""

    id: str
    directory: Path
    origin: Origin


@cache
def find_versions() -> Found[VersionPackage]:
    """All installed versions."""
    found: Found[VersionPackage] = Found()
    for point in points_in_use(VERSION_GROUP, "version", found):
        name, origin = point.name, Origin.of(point)
        try:
            directory = _package_directory(origin.value)
        except Exception as error:  # a stranger's package may fail in any way; it is listed
            found.problems.append(Problem(origin, str(error), f"reinstall {origin.distribution}"))
            continue
        found.items[name] = VersionPackage(name, directory, origin)
    return found


def version_package(name: str) -> VersionPackage:
    """The installed version of that name.

    Raises:
        RequestError: there is none, or two distributions claim the name.
    """
    found = find_versions()
    if name in found.items:
        return found.items[name]
    for problem in found.problems:
        if problem.origin.name == name:
            raise RequestError(f"version '{name}' cannot be used: {problem}")
    if off := [origin for origin in found.off if origin.name == name]:
        raise RequestError(f"version {off[0]} is switched off ({plugin_choice.HOW})")
    if name.partition(":")[0] in found.items or Path(name).exists():
        raise RequestError(
            f"'{name}' is no version; if it is weights or a run, minifold inspect {name} "
            f"describes it, and minifold train VERSION --init-from {name} begins from it"
        )
    raise RequestError(f"unknown version '{name}'; {did_you_mean(name, found.items)}")


@dataclass(frozen=True)
class Offer:
    """A component and the plugin that offers it."""

    spec: ComponentSpec
    origin: Origin


@dataclass(frozen=True)
class Command:
    """A command that a plugin adds: ``"package.module:app"``, and the plugin."""

    target: str
    origin: Origin


@dataclass
class FoundPlugins(Found[Offer]):
    """All components under ``"kind/name"``, all commands, and how long plugins took to load."""

    commands: dict[str, Command] = field(default_factory=dict)
    load_ms: dict[Origin, float] = field(default_factory=dict)

    @property
    def in_use(self) -> list[Origin]:
        """The plugins of which something can be used."""
        origins = [offer.origin for offer in self.items.values()]
        origins += [command.origin for command in self.commands.values()]
        return list(dict.fromkeys(origins))


@cache
def find_components() -> FoundPlugins:
    """What all usable plugins offer."""
    import minifold_core.hookspecs  # noqa: F401  what all plugins import is no one's load time
    from minifold_core.plugin_loading import PluginFault, load_plugin

    found = FoundPlugins()
    offers: dict[str, dict[Origin, Offer]] = {}
    commands: dict[str, dict[Origin, Command]] = {}
    for point in points_in_use(PLUGIN_GROUP, "plugin", found):
        origin = Origin.of(point)
        start = perf_counter()
        try:
            plugin = load_plugin(point)
        except PluginFault as fault:
            mend = fault.mend or "mend it"
            mend = f"{mend}, or uninstall {origin.distribution}"
            found.problems.append(Problem(origin, str(fault), mend))
        else:
            for spec in plugin.components:
                key = f"{spec.kind}/{spec.name}"
                offers.setdefault(key, {})[origin] = Offer(spec, origin)
            for command, target in plugin.commands.items():
                commands.setdefault(command, {})[origin] = Command(target, origin)
        found.load_ms[origin] = 1e3 * (perf_counter() - start)
    for key, claims in offers.items():
        if offer := settled(f"component '{key}'", claims, found.problems):
            found.items[key] = offer
    _add_commands(found, commands)
    _name_unknown(found)
    return found


def _add_commands(found: FoundPlugins, commands: Mapping[str, Mapping[Origin, Command]]) -> None:
    """Let every command in that only one plugin has and minifold has not."""
    if not commands:
        return
    from minifold_core.cli.main import built_in_commands

    own = Origin("commands", "minifold_core.cli.main", plugin_choice.OWN, "")
    built_in = built_in_commands()
    for name, claims in commands.items():
        every = {own: Command("", own), **claims} if name in built_in else claims
        command = settled(f"command '{name}'", every, found.problems)
        if command and command.origin != own:
            found.commands[name] = command


def _name_unknown(found: FoundPlugins) -> None:
    """Record a problem for every name in ``MINIFOLD_PLUGINS`` that is nowhere, and say so.

    What was meant is not used, and a command that does without it would never tell.
    """
    versions = find_versions()
    origins = [
        *found.load_ms,
        *found.off,
        *versions.off,
        *(v.origin for v in versions.items.values()),
    ]
    known = {name for origin in origins for name in (origin.name, origin.distribution)}
    for name in sorted((plugin_choice.chosen() or frozenset()) - known):
        where = Origin(plugin_choice.VARIABLE, "", "environment", "variable")
        cause = f"it names '{name}', which is not installed"
        problem = Problem(where, cause, did_you_mean(name, known))
        found.problems.append(problem)
        note(f"warning: {plugin_choice.VARIABLE}: {problem.cause}; {problem.mend}")


def component(kind: Kind, name: str) -> ComponentSpec:
    """The component of that kind and name.

    Raises:
        RequestError: no usable plugin offers it; a plugin's problem is named if it may be why.
    """
    found = find_components()
    offer = found.items.get(f"{kind}/{name}")
    if offer:
        return offer.spec
    for problem in found.problems:
        if f"'{kind}/{name}'" in problem.cause:
            raise RequestError(f"{problem.cause}; {problem.mend}")
    kinds = [key.partition("/")[2] for key in found.items if key.startswith(f"{kind}/")]
    raise RequestError(f"unknown {kind} '{name}'; {did_you_mean(name, kinds)}{_lost(found)}")


def origin_of(spec: ComponentSpec) -> Origin | None:
    """The plugin that offers a component; None for one that no installed plugin offers."""
    offer = find_components().items.get(f"{spec.kind}/{spec.name}")
    return offer.origin if offer else None


def _lost(found: FoundPlugins) -> str:
    """A half-sentence on the plugins that may have what is asked for, and are not used."""
    said = ""
    if len(found.problems) == 1:
        said = f"; not usable: {found.problems[0]}"
    elif found.problems:
        names = dict.fromkeys(problem.origin.name for problem in found.problems)
        said = f"; not usable: {', '.join(names)} (minifold plugins list says why)"
    off = dict.fromkeys(origin.name for origin in found.off)
    return said + (f"; switched off: {', '.join(off)} ({plugin_choice.HOW})" if off else "")


def refresh() -> None:
    """Forget what was found, for when packages were installed meanwhile."""
    find_versions.cache_clear()
    find_components.cache_clear()


def _package_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(f"package '{package}' is not importable")
    directory = Path(next(iter(spec.submodule_search_locations)))
    if not (directory / "recipe.toml").is_file():
        raise RequestError(f"package '{package}' holds no recipe.toml")
    return directory
