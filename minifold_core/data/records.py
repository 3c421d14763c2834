"""One protein chain as the models see it, and what is said of a chain that is left out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")

REASONS = {
    "unreadable": "the file or record could not be read",
    "unsupported_format": "the file is in a format that is not read",
    "no_protein": "the file holds no protein chain",
    "no_ca": "no residue of the chain has a Cα atom",
    "too_short": "fewer residues with a Cα than --min-length",
    "too_long": "more residues than --max-length",
    "not_in_splits": "the splits file names neither the chain nor its entry",
    "duplicate_name": "the same chain came first, or one of its name in one directory or chain set",
    "related": "a training chain with a relative that is held out (--drop-relatives)",
}
"""Every reason for which something is left out of a pack, in words."""


@dataclass(frozen=True, eq=False)
class Chain:
    """A protein chain of L residues; coordinates in ångström, zero where unknown.

    Attributes:
        name: ``ENTRY.CHAIN``, such as ``1ubq.A``.
        sequence: L one-letter codes; a residue that is none of the twenty is ``X``.
        residue_index: [L] position along the chain from 0; it jumps where residues are missing.
        backbone: [L, 4, 3] N, Cα, C, O.
        backbone_mask: [L, 4] which of those atoms are known.
        sidechain: [L, 10, 3] heavy side-chain atoms in the order of ``SIDECHAIN_ATOMS``, or None
            where the source has none at all.
        sidechain_mask: [L, 10] which of those atoms are known, or None.
        cath: CATH labels, such as ``3.10.20``.
        split: ``train``, ``validation`` or ``test``.
        provenance: where the coordinates came from.
        embeddings: [L, e] precomputed features of the residues, or None.
    """

    name: str
    sequence: str
    residue_index: NDArray[np.int32]
    backbone: NDArray[np.float32]
    backbone_mask: NDArray[np.bool_]
    sidechain: NDArray[np.float32] | None = None
    sidechain_mask: NDArray[np.bool_] | None = None
    cath: tuple[str, ...] = ()
    split: str = "train"
    provenance: str = ""
    embeddings: NDArray[np.floating] | None = None

    def __len__(self) -> int:
        return len(self.sequence)

    @property
    def entry(self) -> str:
        """The name without its chain: what chains of one structure file share."""
        return entry_of(self.name)

    @property
    def ca(self) -> NDArray[np.float32]:
        """[L, 3] Cα coordinates in ångström."""
        return self.backbone[:, 1]

    @property
    def ca_mask(self) -> NDArray[np.bool_]:
        """[L] True where the Cα is known."""
        return self.backbone_mask[:, 1]

    @property
    def whole(self) -> bool:
        """Whether no residue is missing and every Cα is known."""
        return bool(self.ca_mask.all() and (np.diff(self.residue_index) == 1).all())

    def window(self, start: int, stop: int) -> Chain:
        """The residues ``start`` to ``stop`` (exclusive), indexed from 0 again."""
        part = slice(start, stop)
        index = self.residue_index[part]
        return replace(
            self,
            sequence=self.sequence[part],
            residue_index=index - index[:1],
            backbone=self.backbone[part],
            backbone_mask=self.backbone_mask[part],
            sidechain=None if self.sidechain is None else self.sidechain[part],
            sidechain_mask=None if self.sidechain_mask is None else self.sidechain_mask[part],
            embeddings=None if self.embeddings is None else self.embeddings[part],
        )

    def trimmed(self) -> Chain:
        """The chain from its first to its last known Cα: a missing end is no part of the fold."""
        known = np.flatnonzero(self.ca_mask)
        return self.window(known[0], known[-1] + 1) if len(known) else self.window(0, 0)


@dataclass(frozen=True)
class Rejection:
    """Something left out of a pack.

    Attributes:
        name: the chain, or the file where no chain could be named.
        reason: a key of :data:`REASONS`.
        detail: the particulars in words.
    """

    name: str
    reason: str
    detail: str


def entry_of(name: str) -> str:
    """The part of a chain's name before its last dot."""
    return name.rpartition(".")[0] or name
