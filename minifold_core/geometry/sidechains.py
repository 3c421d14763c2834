"""Which side-chain atoms a residue has."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from minifold_core.residues import (
    MAX_SIDECHAIN_ATOMS,
    SIDECHAIN_ATOMS,
    TOKEN_TO_ONE,
    VOCABULARY_SIZE,
)


def sidechain_atoms(tokens: Tensor) -> Tensor:
    """[B, L, 10] True where a residue of ``tokens`` [B, L] has that heavy side-chain atom.

    The order is that of :data:`~minifold_core.residues.SIDECHAIN_ATOMS`; padding, a hidden and an
    unknown residue have none.
    """
    return _table().to(tokens.device)[tokens]


@cache
def _table() -> Tensor:
    """[tokens, 10]"""
    counts = torch.zeros(VOCABULARY_SIZE, dtype=torch.long)
    for token, letter in TOKEN_TO_ONE.items():
        counts[token] = len(SIDECHAIN_ATOMS[letter])
    return torch.arange(MAX_SIDECHAIN_ATOMS) < counts[:, None]
