"""Chains of one name: the same chain twice, or chains of different files that share their name."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from minifold_core.data.files import format_of
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError


@dataclass(frozen=True)
class Found:
    """A chain and where it was found.

    Attributes:
        source: the input; see :func:`minifold_core.data.files.find_inputs`.
        place: its file; in a chain set, file and line.
        chain: under the name that it has in the pack.
        original: the name that its file, or the chain set, gives it.
    """

    source: Path
    place: str
    chain: Chain
    original: str

    @property
    def key(self) -> tuple[str, str]:
        """What no other chain that was found has."""
        return self.place, self.original

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """The directories of its file, outermost first; none for a chain set, which names chains
        itself."""
        if format_of(self.source) == "jsonl":
            return ()
        return Path(os.path.abspath(self.place)).parent.parts[1:]

    def excludes(self, other: Found) -> bool:
        """Whether another chain of this name is the same, or can have no name of its own."""
        return (
            not self.folders
            or not other.folders
            or self.folders == other.folders
            or _same(self.chain, other.chain)
        )

    def renamed(self, depth: int) -> Found:
        """With the names of its innermost ``depth`` directories before its own."""
        name = re.sub(r"\s", "_", "_".join([*self.folders[-depth:], self.original]))
        return replace(self, chain=replace(self.chain, name=name))


def tell_apart(found: Sequence[Found]) -> list[Found]:
    """The chains, in their order, no two of one name.

    Where files in different directories share their name and a chain's, all their chains take the
    directory's name too, or as many directories as it takes to tell them apart.

    Args:
        found: none :meth:`excludes <Found.excludes>` another of its name.

    Raises:
        RequestError: not even all directories tell two chains apart.
    """
    names = Counter(one.original for one in found)
    shared = {one.chain.entry for one in found if names[one.original] > 1}
    groups: dict[str, list[Found]] = {}
    for one in found:
        if one.folders and one.chain.entry in shared:
            groups.setdefault(one.chain.entry, []).append(one)
    taken = {one.original for one in found} - {one.original for g in groups.values() for one in g}
    own: dict[tuple[str, str], Found] = {}
    for group in groups.values():
        renamed = _renamed(group, taken)
        taken |= {one.chain.name for one in renamed}
        own |= {one.key: one for one in renamed}
    return [own.get(one.key, one) for one in found]


def _renamed(group: Sequence[Found], taken: set[str]) -> list[Found]:
    for depth in range(1, 1 + max(len(one.folders) for one in group)):
        renamed = [one.renamed(depth) for one in group]
        names = {one.chain.name for one in renamed}
        if len(names) == len(group) and not names & taken:
            return renamed
    places = ", ".join(one.place for one in group)
    raise RequestError(f"{places}: their directories do not tell them apart; rename a file")


def _same(one: Chain, other: Chain) -> bool:
    """Whether two chains have the same residues and the same coordinates."""
    fields = ("residue_index", "backbone", "backbone_mask", "sidechain", "sidechain_mask")
    return one.sequence == other.sequence and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in fields
    )
