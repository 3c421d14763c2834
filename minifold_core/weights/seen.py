"""What weights have learned from, themselves or by what they began from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from minifold_core.weights.header import Header
from minifold_core.weights.known import known_weights

if TYPE_CHECKING:
    from minifold_core.data.records import Chain


def descent(sha256: str, header: Header | None) -> tuple[str, ...]:
    """The SHA-256 of all that a weights file comes from, itself included.

    Those are all generations of weights, and the data that each was trained on. Files of before
    this was recorded name their parents and migrations alone, strangers' files nothing.

    Args:
        sha256: of the file.
        header: what it says of itself.
    """
    if header is None:
        return (sha256,)
    migrated = (report.get("source", {}).get("sha256", "") for report in header.migrations)
    named = [*header.descent, *migrated, *header.parents.values(), header.data_digest, sha256]
    return tuple(dict.fromkeys(digest for digest in named if digest))


def learned_from(
    origins: Collection[str], chains: Iterable[Chain], data_digest: str
) -> tuple[str, ...]:
    """The names of those chains that weights are known to have learned from.

    Weights know the training chains of their data, and the chains that a registry names: those are
    known by relatives, too.

    Args:
        origins: what the weights come from; see :func:`descent`.
        chains: of one packed dataset.
        data_digest: its SHA-256; empty if it is not known.
    """
    entries = (known.entry for known in known_weights().items.values())
    names = {name for entry in entries if entry.sha256 in origins for name in entry.familiar}
    trained = data_digest in origins
    return tuple(
        chain.name
        for chain in chains
        if chain.name in names or (trained and chain.split == "train")
    )
