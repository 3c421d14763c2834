"""The confidence head."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_confidence.config import BINS, ConfidenceHeadConfig
from minifold_core.evaluation.lddt import RADIUS
from minifold_core.geometry.frames import at_least_fp32, pairwise_distances
from minifold_core.interfaces import Features, Head

NEAREST, FARTHEST = 3.0, 30.0
"""Ångström between the centres of the first and the last step of a distance."""


class ConfidenceHead(Head):
    """lDDT of every residue, from the distances of a structure and what the trunk made of pairs.

    A residue gathers messages from all others, most from near ones, as its lDDT is a matter of the
    residues about it. Trunk and structure are read without a way back for gradients: to be sure is
    no reason to fold otherwise.
    """

    centres: Tensor

    def __init__(self, config: ConfidenceHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        hidden, steps = config.hidden, config.distance_bins
        self.register_buffer("centres", torch.linspace(NEAREST, FARTHEST, steps), persistent=False)
        self.single = nn.Sequential(
            nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], hidden)
        )
        self.pair = nn.Sequential(nn.LayerNorm(widths["pair"]), nn.Linear(widths["pair"], hidden))
        self.distance = nn.Linear(steps, hidden, bias=False)
        self.message = nn.Linear(hidden, hidden)
        self.out = nn.Sequential(
            nn.LayerNorm(2 * hidden),
            nn.Linear(2 * hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, BINS),
        )

    def forward(
        self, *, single: Tensor, pair: Tensor, mask: Tensor, sampled: Tensor, scale: Tensor
    ) -> Features:
        """Judge a structure.

        Args:
            single: [B, L, d] residue features.
            pair: [B, L, L, p] pair features.
            mask: [B, L] True where there is a residue.
            sampled: [B, L, 3] Cα of the finished structure in model units.
            scale: [B] ångström per model unit.

        Returns:
            ``lddt_logits`` [B, L, 50] of equal classes from 0 to 1, and ``plddt`` [B, L], the lDDT
            expected by them; both 0 off the mask.
        """
        distances = pairwise_distances(sampled.detach()) * at_least_fp32(scale)[:, None, None]
        width = (FARTHEST - NEAREST) / (len(self.centres) - 1)
        steps = (-((distances[..., None] - self.centres) / width).square()).exp()
        known = self.single(single.detach())
        features = self.pair(pair.detach()) + self.distance(steps.to(known.dtype))
        messages = self.message(nn.functional.silu(features + known[:, None] + known[:, :, None]))
        near = torch.where(mask[:, None], torch.sigmoid((RADIUS - distances) / 2.0), 0.0)
        near = near / near.sum(-1, keepdim=True).clamp(min=1e-6)
        gathered = torch.einsum("bij,bijh->bih", near.to(messages.dtype), messages)
        logits = at_least_fp32(self.out(torch.cat([known, gathered], -1)))
        middles = (torch.arange(BINS, device=logits.device) + 0.5) / BINS
        expected = (logits.softmax(-1) * middles.to(logits)).sum(-1)
        return {
            "lddt_logits": logits.masked_fill(~mask[..., None], 0),
            "plddt": expected.masked_fill(~mask, 0),
        }
