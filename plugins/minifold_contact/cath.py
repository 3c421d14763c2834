"""CATH class and architecture from attention-pooled residue features."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from minifold_contact.config import CathHeadConfig, CathLossConfig
from minifold_core.batch import Truth
from minifold_core.cath import LEVELS, NAMES, UNKNOWN
from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Metric, PoolingHead
from minifold_losses.base import FullPrecisionLoss


class CathHead(PoolingHead):
    """One learned query pools the residues of a chain; a linear map for each level classifies."""

    def __init__(self, config: CathHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.query = nn.Linear(widths["single"], 1, bias=False)
        self.classify = nn.ModuleDict(
            {level: nn.Linear(widths["single"], len(NAMES[level])) for level in LEVELS}
        )

    def pool(self, single: Tensor, mask: Tensor) -> Tensor:
        """[B, d] embeddings of chains: means of ``single`` [B, L, d] by attention in ``mask``."""
        scores = at_least_fp32(self.query(single)).squeeze(-1)
        # Finite, so that a chain without residues has finite (and equal) weights too.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2).softmax(-1)
        return torch.einsum("bl,bld->bd", weights * mask, at_least_fp32(single))

    def forward(self, *, single: Tensor, mask: Tensor) -> Features:
        """``class_logits`` [B, 4] and ``architecture_logits`` [B, 38]; see minifold_core.cath."""
        pooled = self.pool(single, mask)
        return {f"{level}_logits": self.classify[level](pooled) for level in LEVELS}


class CathLoss(FullPrecisionLoss):
    """Cross-entropy of a level of CATH; 0 for a chain without a label."""

    config: CathLossConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] nats."""
        labels = truth.cath_labels(self.config.level)
        logits = prediction[f"{self.config.level}_logits"]
        return cross_entropy(logits, labels, reduction="none", ignore_index=UNKNOWN)


class CathAccuracy(Metric):
    """Whether the most probable class and architecture are right, and how sure the model is."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """``class_accuracy`` (0 or 1), ``class_cross_entropy`` (nats); the same of architecture.

        NaN without a label.
        """
        figures = {}
        for level in LEVELS:
            labels = truth.cath_labels(level)
            logits = prediction[f"{level}_logits"]
            right = logits.argmax(-1).eq(labels).double()
            entropy = cross_entropy(
                at_least_fp32(logits), labels, reduction="none", ignore_index=UNKNOWN
            )
            unknown = labels.eq(UNKNOWN)
            figures[f"{level}_accuracy"] = right.masked_fill(unknown, float("nan"))
            figures[f"{level}_cross_entropy"] = entropy.masked_fill(unknown, float("nan"))
        return figures
