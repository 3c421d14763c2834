"""Chains between a start and an end token."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from minifold_core.residues import CLS, EOS, PAD


def wrap(tokens: Tensor, mask: Tensor, residue_index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Put CLS before each chain and EOS right after its last residue.

    Args:
        tokens: [B, L] residue ids, PAD beyond a chain's end.
        mask: [B, L] True where there is a residue.
        residue_index: [B, L] position along the chain.

    Returns:
        The three of them, each [B, L + 2]. CLS takes the position before the first residue's and
        EOS the one after the last's; both are in the mask.
    """
    length = mask.sum(-1, keepdim=True)
    last = residue_index.gather(1, (length - 1).clamp(min=0))
    wrapped = pad(tokens, (1, 1), value=PAD)
    wrapped[:, 0] = CLS
    wrapped.scatter_(1, length + 1, EOS)
    index = pad(residue_index, (1, 1))
    index[:, 0] = residue_index[:, 0] - 1
    index.scatter_(1, length + 1, last + 1)
    inside = torch.arange(mask.shape[1] + 2, device=mask.device) <= length + 1
    return wrapped, inside, index


def unwrap(x: Tensor) -> Tensor:
    """[B, L, d] features of the residues, out of [B, L + 2, d]; EOS of a shorter chain stays."""
    return x[:, 1:-1]
