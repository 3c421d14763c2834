"""Distances between residues: as ordinal regression, and as classes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Head
from minifold_heads.config import (
    BinnedDistanceHeadConfig,
    DistanceBinsConfig,
    OrdinalDistanceHeadConfig,
)

FIRST_LOGIT, LAST_LOGIT = 6.0, -4.0
"""Logits at the outermost edges before training: near all pairs are farther apart than a bond,
few farther than 40 Å."""


class DistanceHead(Head):
    """Base of the distance heads: ``count`` symmetric scores of each pair of residues."""

    edges: Tensor

    def __init__(self, config: DistanceBinsConfig, widths: Mapping[str, int], count: int) -> None:
        super().__init__(config, widths)
        (pair,) = config.needs()
        width = widths[pair.name]
        self.register_buffer("edges", torch.tensor(config.edges()), persistent=False)
        self.norm = nn.LayerNorm(width)
        self.scores = nn.Linear(width, count)

    def score(self, pair: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [B, L, L, count] in float32 or wider, and the edges [B, bins - 1] in ångström."""
        scores = at_least_fp32(self.scores(self.norm(pair)))
        return (scores + scores.transpose(1, 2)) / 2, self.edges.expand(len(scores), -1)


class OrdinalDistanceHead(DistanceHead):
    """One logit per edge for "farther than this", never rising from an edge to the next.

    The first score is a logit, each further one the softplus-wide step down from the logit before,
    so the thresholds agree with each other whatever the weights are.
    """

    def __init__(self, config: OrdinalDistanceHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths, config.bins - 1)
        self.reads = config.reads
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
        scores, edges = self.score(ports[self.reads])
        first, steps = scores[..., :1], F.softplus(scores[..., 1:])
        return {
            "distance_logits": torch.cat([first, first - steps.cumsum(-1)], -1),
            "distance_edges": edges,
        }


class BinnedDistanceHead(DistanceHead):
    """One logit per bin, as in v10.

    With ``detached`` its gradients stop at the pair features, so it follows features that others
    move: in v10 its cross-entropy rose from 3.95 to 38.8 within three epochs.
    """

    def __init__(self, config: BinnedDistanceHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths, config.bins)
        self.detached = config.detached

    def forward(self, *, pair: Tensor) -> Features:
        """Logits and edges from ``pair`` [B, L, L, p].

        Returns:
            ``distogram_logits`` [B, L, L, bins], symmetric, and ``distogram_edges``
            [B, bins - 1] in ångström.
        """
        logits, edges = self.score(pair.detach() if self.detached else pair)
        return {"distogram_logits": logits, "distogram_edges": edges}
