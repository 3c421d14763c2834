"""Entry points of installed distributions: whose they are, and whose a name is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, distributions
from typing import Generic, TypeVar

from minifold_core import plugin_choice

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

    @property
    def release(self) -> str:
        """The distribution and its version."""
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return f"{self.name} ({self.release})"


@dataclass(frozen=True)
class Problem:
    """An entry point that cannot be used: what is wrong with it and how to mend it."""

    origin: Origin
    cause: str
    mend: str

    def __str__(self) -> str:
        return f"{self.origin}: {self.cause}; {self.mend}"


@dataclass
class Found(Generic[T]):
    """Usable things by name, the problems of the others, and what is switched off."""

    items: dict[str, T] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    off: list[Origin] = field(default_factory=list)


def points_in_use(group: str, what: str, found: Found[T]) -> list[EntryPoint]:
    """Entry points in use, distribution by distribution: a damaged one spoils no other."""
    grouped: dict[str, dict[Origin, EntryPoint]] = {}
    seen = set()
    for distribution in distributions():
        try:
            points = list(distribution.entry_points.select(group=group))
            name = points and str(distribution.metadata["Name"] or distribution.locate_file(""))
            plugins = {p.name for p in distribution.entry_points if p.group == PLUGIN_GROUP}
        except Exception as error:  # the metadata of any installed package may be damaged
            where = Origin("entry points", "", str(distribution.locate_file("")), "?")
            cause = f"{type(error).__name__}: {error}"
            found.problems.append(Problem(where, cause, "reinstall it"))
            continue
        # The first of a name on sys.path is the one that is imported.
        if not points or name in seen:
            continue
        seen.add(name)
        for point in points:
            if plugin_choice.is_used(point.name, str(name), plugins):
                grouped.setdefault(point.name, {})[Origin.of(point)] = point
            else:
                found.off.append(Origin.of(point))
    points_of = (
        settled(f"{what} '{name}'", claims, found.problems) for name, claims in grouped.items()
    )
    return [point for point in points_of if point]


def settled(what: str, claims: Mapping[Origin, T], problems: list[Problem]) -> T | None:
    """Whose a name is: minifold's own keeps it, and of two strangers neither has it.

    Records a problem for everyone who does not get it.
    """
    if len(claims) == 1:
        return next(iter(claims.values()))
    ours = [origin for origin in claims if origin.distribution == plugin_choice.OWN]
    own = ours[0] if len(ours) == 1 else None
    for origin in claims:
        if own is None:
            cause = f"{what} is claimed by {' and '.join(map(str, claims))}"
            problems.append(Problem(origin, cause, "uninstall one of them"))
        elif origin != own:
            mend = f"rename it, or uninstall {origin.distribution}"
            problems.append(Problem(origin, f"{what} is minifold's own and stays so", mend))
    return claims[own] if own else None
