"""Distances between residues as ordinal regression."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Head
from minifold_heads.config import OrdinalDistanceHeadConfig

FIRST_LOGIT, LAST_LOGIT = 6.0, -4.0
"""Logits at the outermost edges before training: near all pairs are farther apart than a bond,
few farther than 40 Å."""


class OrdinalDistanceHead(Head):
    """One logit per edge for "farther than this", never rising from an edge to the next.

    The first score is a logit, each further one the softplus-wide step down from the logit before,
    so the thresholds agree with each other whatever the weights are.
    """

    edges: Tensor

    def __init__(self, config: OrdinalDistanceHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.reads = config.reads
        self.register_buffer("edges", torch.tensor(config.edges()), persistent=False)
        self.norm = nn.LayerNorm(widths[config.reads])
        self.scores = nn.Linear(widths[config.reads], config.bins - 1)
        step = torch.tensor((FIRST_LOGIT - LAST_LOGIT) / max(config.bins - 2, 1))
        with torch.no_grad():
            self.scores.bias.fill_(step.expm1().log())  # the inverse of softplus
            self.scores.bias[0] = FIRST_LOGIT

    def forward(self, **ports: Tensor) -> Features:
        """Logits and edges from the pair features it reads.

        Returns:
            ``distance_logits`` [B, L, L, bins - 1], symmetric, and ``distance_edges``
            [B, bins - 1] in ångström.
        """
        scores = at_least_fp32(self.scores(self.norm(ports[self.reads])))
        scores = (scores + scores.transpose(1, 2)) / 2
        first, steps = scores[..., :1], F.softplus(scores[..., 1:])
        return {
            "distance_logits": torch.cat([first, first - steps.cumsum(-1)], -1),
            "distance_edges": self.edges.expand(len(scores), -1),
        }
