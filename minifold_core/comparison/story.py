"""How one side came from another, in the words of the versions' cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from minifold_core.cards import card_of
from minifold_core.comparison.sides import Side
from minifold_core.comparison.sources import CARD, path_in_tree, registry_of
from minifold_core.discovery import VersionPackage, find_versions
from minifold_core.registry import entry


@dataclass(frozen=True)
class Telling:
    """What one version changed from its parent.

    Attributes:
        version: its id.
        summary: one line of the registry.
        changed: the card's paragraph; empty without a card.
        files: what both were read from.
    """

    version: str
    summary: str
    changed: str
    files: dict[str, str]


@dataclass(frozen=True)
class Story:
    """From one side to the next.

    Attributes:
        source: label of the first.
        target: label of the second.
        relation: how their recipes are related, in a sentence.
        versions: the versions that lie between them or are one of them, the oldest first.
    """

    source: str
    target: str
    relation: str
    versions: tuple[Telling, ...]


def stories(sides: Sequence[Side]) -> tuple[Story, ...]:
    """From each side to the one after it."""
    return tuple(_story(a, b) for a, b in pairwise(sides))


def _story(a: Side, b: Side) -> Story:
    ours, theirs = a.recipe.lineage, b.recipe.lineage
    packages = find_versions().items
    apart = [name for name in dict.fromkeys((*ours, *theirs)) if (name in ours) != (name in theirs)]
    if not {*ours} & {*theirs}:
        apart = [name for name in apart if name in (ours[-1], theirs[-1])]
    told = tuple(_tell(packages[name]) for name in apart if name in packages)
    return Story(a.label, b.label, _relation(a, b), told)


def _relation(a: Side, b: Side) -> str:
    ours, theirs = a.recipe.lineage, b.recipe.lineage
    if ours == theirs:
        same = "one recipe" if a.recipe.values() == b.recipe.values() else f"both {ours[-1]}"
        return f"{a.label} and {b.label} are {same}"
    for first, second in ((a, b), (b, a)):
        older, younger = first.recipe.lineage, second.recipe.lineage
        if younger[: len(older)] == older:
            way = ", ".join(younger[len(older) : -1])
            return f"{_name(second)} comes from {_name(first)}{way and f' by way of {way}'}"
    shared = [name for name in ours if name in theirs]
    if shared:
        return f"{_name(a)} and {_name(b)} both come from {shared[-1]}"
    return f"{_name(a)} and {_name(b)} have no version in common"


def _name(side: Side) -> str:
    """The recipe, and the side that has it if that is called otherwise."""
    return side.label if side.label == side.recipe.id else f"{side.recipe.id} ({side.label})"


def _tell(package: VersionPackage) -> Telling:
    card = card_of(package)
    files = {"summary": registry_of(package)}
    files |= {"changed": path_in_tree(package, CARD)} if card else {}
    return Telling(package.id, entry(package).summary, card.changed if card else "", files)
