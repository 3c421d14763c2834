"""What trains the confidence head, and what judges it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from minifold_confidence.config import BINS
from minifold_core.batch import Truth
from minifold_core.evaluation.lddt import residue_lddt
from minifold_core.interfaces import Metric
from minifold_losses.base import FullPrecisionLoss, masked_mean


class ConfidenceLoss(FullPrecisionLoss):
    """Cross-entropy of the class of each residue's lDDT (AlphaFold 2, suppl. 1.9.6)."""

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``lddt_logits`` [B, L, 50] and ``sampled`` [B, L, 3] in model units."""
        scored = true_lddt(prediction["sampled"], truth)
        known = scored.isfinite()
        classes = (scored.nan_to_num() * BINS).long().clamp(max=BINS - 1)
        logits = prediction["lddt_logits"].movedim(-1, 1)
        return masked_mean(cross_entropy(logits, classes, reduction="none"), known)


class ConfidenceMetric(Metric):
    """Mean error of the predicted lDDT, beside that of the chain's mean for every residue."""

    lower_is_better = frozenset({"plddt_error"})

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """``plddt_error`` and ``floor_plddt_error``, [B] each.

        The floor knows the right mean of the chain's lDDT, and nothing of its residues.
        """
        scored = true_lddt(prediction["sampled"], truth)
        known = scored.isfinite()
        scored = scored.nan_to_num()
        mean = masked_mean(scored, known)[:, None]
        errors = {
            "plddt_error": (prediction["plddt"] - scored).abs(),
            "floor_plddt_error": (mean - scored).abs(),
        }
        return {
            name: torch.where(known.any(1), masked_mean(error, known), torch.nan)
            for name, error in errors.items()
        }


@torch.no_grad()
def true_lddt(sampled: Tensor, truth: Truth) -> Tensor:
    """[B, L] lDDT of each residue of Cα ``sampled`` [B, L, 3] in model units; NaN without any."""
    size = truth.scale[:, None, None]
    return residue_lddt(sampled * size, truth.ca * size, truth.mask)
