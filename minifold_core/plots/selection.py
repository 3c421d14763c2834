"""Which chains a picture shows: those that were named, or a choice that nobody can tune."""

from __future__ import annotations

from collections.abc import Sequence

from minifold_core.cath import CLASSES, NAMES, UNKNOWN, label
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError, did_you_mean

CLASS_ORDER = (*(NAMES["class"].index(number) for number in ("4", "2", "1", "3")), UNKNOWN)
"""Few secondary structures, mainly beta, mainly alpha, alpha beta, then chains without a class."""


def class_name(chain: Chain) -> str | None:
    """The chain's CATH class in words, if it has one."""
    number = label(chain.cath, "class")
    return None if number == UNKNOWN else CLASSES[NAMES["class"][number]]


def choose(chains: Sequence[Chain], count: int) -> list[Chain]:
    """A fixed choice of ``count`` chains, or all if there are fewer.

    The CATH classes take turns in :data:`CLASS_ORDER`, chains without a class last; the chains of
    one class are spread over its lengths, so a single one is that of median length.
    """
    classes = [label(chain.cath, "class") for chain in chains]
    groups = [
        [chain for chain, own in zip(chains, classes, strict=True) if own == number]
        for number in CLASS_ORDER
    ]
    shares = [0] * len(groups)
    while sum(shares) < min(count, len(chains)):
        for index, group in enumerate(groups):
            if shares[index] < len(group) and sum(shares) < count:
                shares[index] += 1
    return [
        chain
        for group, share in zip(groups, shares, strict=True)
        for chain in _spread(group, share)
    ]


def named(dataset: PackedDataset, split: str, names: Sequence[str]) -> list[Chain]:
    """The chains of these names in one split, in the order of the names.

    Raises:
        RequestError: the split has no chain of that name.
    """
    chosen = dataset.subset(split)
    rows = {name: row for row, name in enumerate(chosen.names)}
    for name in names:
        if name not in rows and name in dataset.names:
            own = dataset[dataset.names.index(name)].split
            raise RequestError(f"chain '{name}' is in the {own} split; add --split {own}")
        if name not in rows:
            raise RequestError(
                f"{dataset.file.path}: no {split} chain '{name}'; {did_you_mean(name, rows)}"
            )
    return [chosen[rows[name]] for name in names]


def _spread(chains: Sequence[Chain], count: int) -> list[Chain]:
    """``count`` chains from the middles of as many equal parts of the order of lengths."""
    ordered = sorted(chains, key=lambda chain: (len(chain), chain.name))
    return [ordered[(2 * k + 1) * len(ordered) // (2 * count)] for k in range(count)]
