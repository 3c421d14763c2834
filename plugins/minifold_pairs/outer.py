"""Residue features to residue pair features."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32


class OuterProductMean(nn.Module):
    """Outer product of two projections of the residue features, projected to pair features.

    AlphaFold 2, suppl. Algorithm 10; with one sequence the mean is over one term::

        pair_ijp = sum_cd W_pcd a_ic b_jd

    W meets one operand first, so that the L × L × c² outer product never exists: time and memory
    then grow with L² c p. It runs in float32, because it sums over c² products. There is no bias:
    the relative positions, which are added to it, hold one.

    Args:
        d_single: width of the residue features.
        d_pair: width of the pair features.
        hidden: width c of the operands.
    """

    def __init__(self, d_single: int, d_pair: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_single)
        self.left = nn.Linear(d_single, hidden, bias=False)
        self.right = nn.Linear(d_single, hidden, bias=False)
        self.weight = nn.Parameter(torch.empty(d_pair, hidden, hidden))
        nn.init.normal_(self.weight, std=1 / hidden)

    def forward(self, single: Tensor, mask: Tensor) -> Tensor:
        """[B, L, L, d_pair] from ``single`` [B, L, d_single]; ``mask`` [B, L]."""
        b, length, _ = single.shape
        d_pair, hidden, _ = self.weight.shape
        with torch.autocast(single.device.type, enabled=False):
            normed = self.norm(at_least_fp32(single)) * mask[..., None]
            half = nn.functional.linear(self.right(normed), self.weight.flatten(0, 1))
            # [B, i, c] @ [B, c, jp]: the result is laid out as [B, i, j, p] without a copy.
            half = half.view(b, length * d_pair, hidden).transpose(1, 2)
            return torch.bmm(self.left(normed), half).view(b, length, length, d_pair)
