"""The files that a comparison was read from, as they lie in the project's tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minifold_core import plugin_choice
from minifold_core.comparison.sides import Side
from minifold_core.discovery import VersionPackage, find_versions
from minifold_core.runs import METRICS, RECIPE

REGISTRY, LINEAGE, TABLE, CARD = "registry.toml", "lineage.toml", "history.csv", "card.toml"
HOLDS = {
    RECIPE: "recipe",
    "manifest.json": "shapes of all tensors",
    CARD: "card",
    LINEAGE: "lineage",
    TABLE: "published table",
    REGISTRY: "registry",
    METRICS: "metrics of a run",
}
"""What a file of that name is."""


@dataclass(frozen=True)
class Source:
    """A file that something was read from.

    Attributes:
        path: in the project's tree, of what is shipped with it; of a plugin's version from its
            package on; else as the user wrote it.
        cited: what origins of values call it.
        holds: what it is.
    """

    path: str
    cited: str
    holds: str


def path_in_tree(package: VersionPackage, file: str) -> str:
    """Where a version's file lies."""
    above = "versions/" if package.origin.distribution == plugin_choice.OWN else ""
    return f"{above}{package.directory.name}/{file}"


def path_of(cited: str) -> str:
    """Where a file lies that recipes cite as ``v13/recipe.toml``; anything else as it is."""
    version, _, file = cited.partition("/")
    package = find_versions().items.get(version)
    return path_in_tree(package, file) if package and not Path(cited).is_file() else cited


def registry_of(package: VersionPackage) -> str:
    """The registry that knows a version: the project's, or its own."""
    own = package.origin.distribution != plugin_choice.OWN
    own = own and (package.directory / REGISTRY).is_file()
    return path_in_tree(package, REGISTRY) if own else REGISTRY


def lineages(versions: Iterable[str]) -> tuple[str, ...]:
    """The ``lineage.toml`` of each version that has one."""
    known = (find_versions().items.get(version) for version in versions)
    return tuple(
        path_in_tree(package, LINEAGE)
        for package in known
        if package and (package.directory / LINEAGE).is_file()
    )


def sources_of(sides: Sequence[Side], told: object) -> tuple[Source, ...]:
    """Every file that values come from, or that a comparison names in ``files``.

    Args:
        sides: what is compared.
        told: the comparison, as plain data.
    """
    origins = (said[1] for side in sides for said in side.recipe.values().values())
    cited = dict.fromkeys([*(side.source for side in sides), *origins])
    named = {name: path_of(name) for name in cited}
    own = {path: name for name, path in named.items() if path != name}
    user = [name for name, path in named.items() if path == name and Path(name).is_file()]
    paths = dict.fromkeys([*own, *user, *_named(told)])
    return tuple(Source(p, own.get(p, ""), HOLDS.get(Path(p).name, _kind(p))) for p in paths)


def _kind(path: str) -> str:
    return "weights" if Path(path).suffix != ".toml" else "recipe"


def _named(told: object) -> Iterator[str]:
    """What stands under ``files``, at any depth."""
    if isinstance(told, Mapping):
        for key, inner in told.items():
            if key == "files":
                yield from inner.values() if isinstance(inner, Mapping) else inner
            else:
                yield from _named(inner)
    elif isinstance(told, list | tuple):
        for inner in told:
            yield from _named(inner)
