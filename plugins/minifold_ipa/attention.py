"""Invariant point attention (AlphaFold 2, suppl. Algorithm 22), as two large matrix products.

A logit is ``sqrt(1/3) (q·k / sqrt(c) + b) - g/2 Σ_p |x_p - y_p|²`` with ``x``, ``y`` the points of
query and key in global coordinates and ``g`` a weight per head. Expanding the square leaves
``g x·y - g/2 |y|²`` and a term that softmax cannot see: the points become further features of
queries and keys, and ``-g/2 |y|²`` and the mask one more. Values and value points share a product
likewise. The expansion cancels badly far from the origin: translations must arrive centred.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minifold_core.geometry.frames import at_least_fp32, safe_norm
from minifold_ipa.rigid import Frames

UNIT_SOFTPLUS = 0.541324854612918
"""The number whose softplus is 1: heads start with the point weight of the paper."""

FARTHEST = 1e4
"""Bound, in model units, on what a residue reports of attended points: fp16 ends at 65504."""


class InvariantPointAttention(nn.Module):
    """One attention over residues that does not change when all frames move together."""

    def __init__(
        self,
        width: int,
        pair_width: int,
        heads: int,
        head_dim: int,
        query_points: int,
        value_points: int,
    ) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.query_points, self.value_points = query_points, value_points
        self.scalars = nn.Linear(width, 3 * heads * head_dim, bias=False)
        points = 2 * query_points + value_points
        self.points = nn.Linear(width, 3 * heads * points, bias=False)
        self.point_weight = nn.Parameter(torch.full((heads,), UNIT_SOFTPLUS))
        self.out = nn.Linear(heads * (head_dim + 4 * value_points + pair_width), width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(
        self, single: Tensor, pair: Tensor, pair_bias: Tensor, key_bias: Tensor, frames: Frames
    ) -> Tensor:
        """Attend once.

        Args:
            single: [B, L, d].
            pair: [B, L, L, p].
            pair_bias: [H, B, L, L] term of the logits, already times sqrt(1/3).
            key_bias: [B, L] 0, or a large negative number for keys that are not there.
            frames: frames of the residues, their translations centred.

        Returns:
            [B, L, d] the update of ``single``.
        """
        b, length, _ = single.shape
        scalars = self.scalars(single).view(b, length, 3, self.heads, self.head_dim)
        with torch.autocast(single.device.type, enabled=False):
            q, k, v = at_least_fp32(scalars).permute(2, 3, 0, 1, 4)
            q_points, k_points, v_points = self._global_points(at_least_fp32(single), frames)
            weights = self._weights(q, k, q_points, k_points, pair_bias, key_bias)
            carried = weights @ torch.cat([v, v_points], -1)
            attended, points = carried.split([self.head_dim, 3 * self.value_points], -1)
            local = self._local_points(points, frames)
            features = [attended.permute(1, 2, 0, 3), local, safe_norm(local.transpose(2, 3))]
        from_pairs = weights.permute(1, 2, 0, 3).to(pair.dtype) @ pair
        return self.out(torch.cat([f.flatten(2) for f in [*features, from_pairs]], -1))

    def _global_points(self, single: Tensor, frames: Frames) -> list[Tensor]:
        """Query, key and value points in global coordinates, each [H, B, L, 3·P]."""
        b, length, _ = single.shape
        points = frames.to_global(self.points(single).view(b, length, 3, -1))
        counts = [self.query_points, self.query_points, self.value_points]
        return [
            part.reshape(b, length, 3, self.heads, count).permute(3, 0, 1, 2, 4).flatten(3)
            for part, count in zip(
                points.split([self.heads * count for count in counts], -1), counts, strict=True
            )
        ]

    def _local_points(self, points: Tensor, frames: Frames) -> Tensor:
        """[B, L, 3, H·P] attended points [H, B, L, 3·P] as each residue sees them."""
        apart = points.unflatten(-1, (3, self.value_points)).permute(1, 2, 3, 0, 4).flatten(3)
        return frames.to_local(apart).clamp(-FARTHEST, FARTHEST)

    def _weights(
        self,
        q: Tensor,
        k: Tensor,
        q_points: Tensor,
        k_points: Tensor,
        pair_bias: Tensor,
        key_bias: Tensor,
    ) -> Tensor:
        """[H, B, L, L] attention weights, from one product of [scalars, points, 1] features."""
        scale = math.sqrt(2 / (27 * self.query_points))
        weight = (F.softplus(self.point_weight) * scale).view(-1, 1, 1, 1)
        of_key = key_bias[..., None] - weight / 2 * k_points.pow(2).sum(-1, keepdim=True)
        queries = torch.cat(
            [q / math.sqrt(3 * self.head_dim), weight * q_points, torch.ones_like(of_key)], -1
        )
        keys = torch.cat([k, k_points, of_key], -1)
        logits = torch.baddbmm(
            pair_bias.flatten(0, 1), queries.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2)
        )
        return logits.softmax(-1).view_as(pair_bias)
