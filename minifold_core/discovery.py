"""Find plugins and versions through entry points, one at a time, so that no bad one harms another.

Nothing here imports torch; versions are found without importing their package.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Generic, TypeVar

from minifold_core.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    from minifold_core.components import ComponentSpec, Kind

T = TypeVar("T")

PLUGIN_GROUP = "minifold.plugins"
VERSION_GROUP = "minifold.versions"


@dataclass(frozen=True)
class Origin:
    """Where an entry point comes from."""

    name: str
    value: str
    distribution: str
    version: str

    @classmethod
    def of(cls, point: EntryPoint) -> Origin:
        """The origin of an entry point."""
        dist = point.dist
        return cls(
            point.name, point.value, dist.name if dist else "?", dist.version if dist else "?"
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.distribution} {self.version})"


@dataclass(frozen=True)
class Problem:
    """An entry point that cannot be used: what is wrong with it and how to mend it."""

    origin: Origin
    cause: str
    mend: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.cause}; {self.mend}"


@dataclass(frozen=True)
class VersionPackage:
    """An installed version: a package directory that holds ``recipe.toml``."""

    id: str
    directory: Path
    origin: Origin


@dataclass
class Found(Generic[T]):
    """Usable things by name, the problems of the others, and how long plugins took to load."""

    items: dict[str, T] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    load_ms: dict[Origin, float] = field(default_factory=dict)


@cache
def find_versions() -> Found[VersionPackage]:
    """All installed versions."""
    found: Found[VersionPackage] = Found()
    for name, points in _by_name(VERSION_GROUP, found.problems).items():
        if _clash(found.problems, f"version '{name}'", [Origin.of(p) for p in points]):
            continue
        origin = Origin.of(points[0])
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
    raise RequestError(f"unknown version '{name}'; {did_you_mean(name, found.items)}")


@dataclass(frozen=True)
class Offer:
    """A component and the plugin that offers it."""

    spec: ComponentSpec
    origin: Origin


@cache
def find_components() -> Found[Offer]:
    """All components of all usable plugins, under ``"kind/name"``."""
    import minifold_core.hookspecs  # noqa: F401  what all plugins import is no one's load time

    found: Found[Offer] = Found()
    offers: dict[str, list[Offer]] = {}
    for name, points in _by_name(PLUGIN_GROUP, found.problems).items():
        if _clash(found.problems, f"plugin '{name}'", [Origin.of(p) for p in points]):
            continue
        origin = Origin.of(points[0])
        start = perf_counter()
        try:
            for spec in _components_of(points[0]):
                offers.setdefault(f"{spec.kind}/{spec.name}", []).append(Offer(spec, origin))
        except (Exception, SystemExit) as error:  # whatever a plugin raises, the others go on
            cause = f"{type(error).__name__}: {error}"
            mend = f"mend or uninstall {origin.distribution}"
            found.problems.append(Problem(origin, cause, mend))
        found.load_ms[origin] = 1e3 * (perf_counter() - start)
    for key, same in offers.items():
        if not _clash(found.problems, f"component '{key}'", [offer.origin for offer in same]):
            found.items[key] = same[0]
    return found


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
    lost = "".join(f"; not usable: {problem}" for problem in found.problems)
    raise RequestError(f"unknown {kind} '{name}'; {did_you_mean(name, kinds)}{lost}")


def refresh() -> None:
    """Forget what was found, for when packages were installed meanwhile."""
    find_versions.cache_clear()
    find_components.cache_clear()


def _by_name(group: str, problems: list[Problem]) -> dict[str, list[EntryPoint]]:
    """Entry points by name, distribution by distribution: a damaged one spoils no other."""
    grouped: dict[str, list[EntryPoint]] = {}
    seen = set()
    for distribution in distributions():
        try:
            points = list(distribution.entry_points.select(group=group))
            name = points and str(distribution.metadata["Name"] or distribution.locate_file(""))
        except Exception as error:  # the metadata of any installed package may be damaged
            where = Origin("entry points", "", str(distribution.locate_file("")), "?")
            problems.append(Problem(where, f"{type(error).__name__}: {error}", "reinstall it"))
            continue
        # The first of a name on sys.path is the one that is imported.
        if points and name not in seen:
            seen.add(name)
            for point in points:
                grouped.setdefault(point.name, []).append(point)
    return grouped


def _clash(problems: list[Problem], what: str, owners: list[Origin]) -> bool:
    """Record a problem for every owner if there are several."""
    if len(owners) < 2:
        return False
    names = " and ".join(f"{o.distribution} {o.version}" for o in owners)
    for owner in owners:
        problems.append(Problem(owner, f"{what} is claimed by {names}", "uninstall one of them"))
    return True


def _package_directory(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(f"package '{package}' is not importable")
    directory = Path(next(iter(spec.submodule_search_locations)))
    if not (directory / "recipe.toml").is_file():
        raise RequestError(f"package '{package}' holds no recipe.toml")
    return directory


def _components_of(point: EntryPoint) -> list[ComponentSpec]:
    """Load one plugin in a manager of its own, so that its faults stay its own."""
    import pluggy

    from minifold_core import hookspecs
    from minifold_core.components import ComponentSpec

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(point.load(), name=point.name)
    manager.check_pending()
    call: Callable[[], list[list[ComponentSpec]]] = manager.hook.minifold_components
    specs = [spec for offered in call() for spec in offered]
    for spec in specs:
        if not isinstance(spec, ComponentSpec):
            raise TypeError(f"minifold_components returned {spec!r}, which is no ComponentSpec")
    if not specs:
        raise ValueError("it offers nothing: no @hookimpl function minifold_components")
    return specs
