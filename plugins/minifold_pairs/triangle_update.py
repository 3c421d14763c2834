"""Triangle multiplicative updates."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32

LIMIT = 1e4
"""Bound on a triangle sum, before it is normalised."""


class TriangleUpdate(nn.Module):
    """Update the edge (i, j) of a triangle from its other two (AlphaFold 2, suppl. Alg. 11, 12).

    Outgoing edges: ``x_ij = sum_k a_ik b_jk``; incoming: ``x_ij = sum_k a_ki b_kj``. The sum over
    L products overflows half precision, so it runs in float32, bounded by ±1e4.

    The projection writes the operands channel first, so that the sum is a batched matrix product
    of operands as they lie.

    Args:
        d_pair: width of the pair features.
        hidden: width of the operands.
        incoming: sum over incoming instead of outgoing edges.
    """

    def __init__(self, d_pair: int, hidden: int, *, incoming: bool) -> None:
        super().__init__()
        self.incoming = incoming
        self.norm = nn.LayerNorm(d_pair)
        # Rows: values of a, values of b, gates of a, gates of b.
        self.operands = nn.Linear(d_pair, 4 * hidden)
        self.norm_out = nn.LayerNorm(hidden)
        self.out = nn.Linear(hidden, d_pair)
        self.gate = nn.Linear(d_pair, d_pair)
        with torch.no_grad():
            self.operands.weight[2 * hidden :].zero_()
            self.operands.bias[: 2 * hidden].zero_()
            self.operands.bias[2 * hidden :].fill_(1)
        nn.init.zeros_(self.gate.weight)
        nn.init.ones_(self.gate.bias)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, pair: Tensor, pair_mask: Tensor) -> Tensor:
        """The residual [B, L, L, d_pair] for ``pair``; ``pair_mask`` [B, L, L]."""
        b, length = pair.shape[:2]
        normed = self.norm(pair)
        operands = torch.addmm(
            self.operands.bias[:, None], self.operands.weight, normed.flatten(0, 2).T
        )
        gated = at_least_fp32(nn.functional.glu(operands, dim=0)).view(-1, b, length, length)
        left, right = (gated * pair_mask).flatten(0, 1).chunk(2)
        with torch.autocast(pair.device.type, enabled=False):
            if self.incoming:
                left, right = left.transpose(1, 2), right.transpose(1, 2)
            sums = left @ right.transpose(1, 2)
            sums = sums.clamp(-LIMIT, LIMIT).view(-1, b, length, length)
            update = self.norm_out(sums.permute(1, 2, 3, 0))
        return self.out(update) * self.gate(normed).sigmoid()
