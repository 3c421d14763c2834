"""Chains as the padded batch that models take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from minifold_core.batch import ProteinBatch
from minifold_core.cath import LEVELS, label
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.residues import MAX_SIDECHAIN_ATOMS, PAD, encode


def collate(chains: Sequence[Chain]) -> ProteinBatch:
    """Pad B chains to the longest, L; PAD, zeros and False beyond each chain's end.

    Side chains come along where any chain has them, embeddings where all do.
    Usable as ``collate_fn`` of a ``torch.utils.data.DataLoader``.
    """
    tokens = [torch.tensor(encode(chain.sequence)) for chain in chains]
    index = [torch.from_numpy(chain.residue_index).long() for chain in chains]
    backbone = [torch.from_numpy(chain.backbone) for chain in chains]
    known = [torch.from_numpy(chain.backbone_mask) for chain in chains]
    sidechain, known_atoms = _sidechains(chains)
    return ProteinBatch(
        tokens=pad_sequence(tokens, batch_first=True, padding_value=PAD),
        residue_index=pad_sequence(index, batch_first=True),
        backbone=pad_sequence(backbone, batch_first=True),
        backbone_mask=pad_sequence(known, batch_first=True),
        cath=torch.tensor([[label(chain.cath, level) for level in LEVELS] for chain in chains]),
        names=tuple(chain.name for chain in chains),
        sidechain=sidechain,
        sidechain_mask=known_atoms,
        embeddings=pad_embeddings([chain.embeddings for chain in chains]),
    )


def pad_embeddings(rows: Sequence[NDArray[np.floating] | None]) -> Tensor | None:
    """[B, L, e] embeddings of B chains in float32, zero beyond a chain's end; None without any.

    Raises:
        RequestError: only some of the chains have embeddings.
    """
    there = [torch.from_numpy(each).float() for each in rows if each is not None]
    if not there:
        return None
    if len(there) < len(rows):
        raise RequestError(f"{len(rows) - len(there)} of {len(rows)} chains have no embeddings")
    return pad_sequence(there, batch_first=True)


def _sidechains(chains: Sequence[Chain]) -> tuple[Tensor, Tensor] | tuple[None, None]:
    """[B, L, 10, 3] atoms and [B, L, 10] which are known, if any chain has some."""
    if all(chain.sidechain is None for chain in chains):
        return None, None
    shape = len(chains), max(map(len, chains)), MAX_SIDECHAIN_ATOMS
    atoms, known = torch.zeros(*shape, 3), torch.zeros(shape, dtype=torch.bool)
    for row, chain in enumerate(chains):
        if chain.sidechain is not None and chain.sidechain_mask is not None:
            atoms[row, : len(chain)] = torch.from_numpy(chain.sidechain)
            known[row, : len(chain)] = torch.from_numpy(chain.sidechain_mask)
    return atoms, known
