"""Losses of the heads beside the denoiser: size of the fold, and binned distances."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from minifold_core.batch import Truth
from minifold_core.geometry.frames import pairwise_distances
from minifold_core.geometry.size import centred
from minifold_losses.base import FullPrecisionLoss, masked_mean, pair_mask
from minifold_losses.config import DistogramConfig, OrdinalDistanceConfig, RgConfig


class RgLoss(FullPrecisionLoss):
    """``(log Rg - log Rg*)^2`` with Rg in ångström, of proteins with two known Cα or more."""

    config: RgConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``log_rg`` [B]."""
        error = prediction["log_rg"] - _log_rg(truth)
        return error.pow(2).masked_fill(truth.mask.sum(1) < 2, 0)


def _log_rg(truth: Truth) -> Tensor:
    """[B] logarithm of the radius of gyration in ångström, finite for a single point."""
    squares = centred(truth.ca, truth.mask).pow(2).sum(-1)
    return (masked_mean(squares, truth.mask) + 1e-10).log() / 2 + truth.scale.log()


class OrdinalDistanceLoss(FullPrecisionLoss):
    """Cross-entropy of "farther than edge k" for every pair and edge, averaged over both.

    Logit k stands for P(d > b_k), and the head that gives it also gives b_k. The mean over edges,
    not their sum, is what the published values of about 0.32 are.
    """

    config: OrdinalDistanceConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``distance_logits`` [B, L, L, K] and ``distance_edges`` [B, K] in ångström."""
        logits = prediction["distance_logits"]
        edges = prediction["distance_edges"][:, None, None]
        farther = (_distances(truth)[..., None] > edges).to(logits)
        entropy = binary_cross_entropy_with_logits(logits, farther, reduction="none")
        return masked_mean(entropy.mean(-1), pair_mask(truth.mask))


class DistogramLoss(FullPrecisionLoss):
    """Cross-entropy of the bin of every pair's distance; the outermost bins have no outer end.

    ``-mean_{i≠j} log p_ij[bin(d_ij)]``: v10's, whose published values are of a 96-bin head.
    """

    config: DistogramConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``distogram_logits`` [B, L, L, N] and ``distogram_edges`` [B, N - 1] in Å."""
        edges = prediction["distogram_edges"][:, None, None]
        bins = (_distances(truth)[..., None] > edges).sum(-1)
        logits = prediction["distogram_logits"].movedim(-1, 1)
        entropy = cross_entropy(logits, bins, reduction="none")
        return masked_mean(entropy, pair_mask(truth.mask))


def _distances(truth: Truth) -> Tensor:
    """[B, L, L] native Cα distances in ångström."""
    return pairwise_distances(truth.ca) * truth.scale[:, None, None]
