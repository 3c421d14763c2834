"""Losses on pairs of Cα atoms."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import relu

from minifold_core.batch import Truth
from minifold_core.evaluation.lddt import THRESHOLDS
from minifold_core.geometry.frames import pairwise_distances
from minifold_losses.base import FullPrecisionLoss, masked_mean, pair_mask
from minifold_losses.config import ClashConfig, DistanceConfig, SmoothLDDTConfig


class DistanceLoss(FullPrecisionLoss):
    """Squared error of all pairwise Cα distances, in squared model units."""

    config: DistanceConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        error = pairwise_distances(prediction["coords"]) - pairwise_distances(truth.ca)
        return masked_mean(error.pow(2), pair_mask(truth.mask))


class ClashLoss(FullPrecisionLoss):
    """``[(1 + 2 c_ij) relu(threshold - d_ij)]^2`` in squared model units, over non-bonded pairs.

    ``c_ij`` is the encoder's contact probability, a constant here; 0 without such an encoder.
    Residues on either side of a chain break are not bonded.
    """

    config: ClashConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3] and, if given, ``contacts`` [B, L, L]."""
        scale = truth.scale if self.config.unit == "angstrom" else torch.ones_like(truth.scale)
        threshold = (self.config.threshold / scale)[:, None, None]
        overlap = relu(threshold - pairwise_distances(prediction["coords"]))
        if "contacts" in prediction:
            overlap = overlap * (1 + 2 * prediction["contacts"].detach())
        bonded = truth.bonded(2).diag_embed(offset=1)
        free = pair_mask(truth.mask) & ~(bonded | bonded.transpose(1, 2))
        return masked_mean(overlap.pow(2), free)


class SmoothLDDTLoss(FullPrecisionLoss):
    """``1 - lDDT`` of Cα, with sigmoids for its steps (AlphaFold 3, suppl. Algorithm 27).

    ``1 - mean_{pairs} mean_c sigmoid(c - |d - d*|)`` over the pairs of two residues that are less
    than ``cutoff`` apart in the native structure. All pairs weigh the same, as in the algorithm and
    in the lDDT of a chain that is reported. A mirror image scores as the truth does.
    """

    config: SmoothLDDTConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        native, scale = pairwise_distances(truth.ca), truth.scale[:, None, None]
        error = (pairwise_distances(prediction["coords"]) - native).abs() * scale
        kept = torch.stack([(c - error).sigmoid() for c in THRESHOLDS]).mean(0)
        near = pair_mask(truth.mask) & (native * scale < self.config.cutoff)
        return masked_mean(1 - kept, near)
