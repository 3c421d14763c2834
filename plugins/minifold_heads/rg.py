"""Radius of gyration from residue features."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Head
from minifold_heads.config import RgHeadConfig

TYPICAL_RG = 13.0
"""Radius of gyration of a chain of about 100 residues in ångström, predicted before training."""


class RgHead(Head):
    """The mean residue feature of a chain, through a perceptron, to the size of its fold."""

    def __init__(self, config: RgHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        last = nn.Linear(config.hidden, 1)
        nn.init.constant_(last.bias, math.log(TYPICAL_RG))
        self.mlp = nn.Sequential(nn.Linear(widths["single"], config.hidden), nn.ReLU(), last)

    def forward(self, *, single: Tensor, mask: Tensor) -> Features:
        """``log_rg`` [B], ln of ångström, from ``single`` [B, L, d] where ``mask`` [B, L]."""
        there = mask[..., None]
        total = at_least_fp32(single).masked_fill(~there, 0).sum(1)
        pooled = total / there.sum(1).clamp(min=1)
        return {"log_rg": at_least_fp32(self.mlp(pooled)).squeeze(-1)}
