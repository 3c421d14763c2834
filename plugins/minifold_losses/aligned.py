"""Losses on positions after superposition."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.superpose import superpose
from minifold_losses.base import masked_mean
from minifold_losses.config import AlignedMSEConfig
from minifold_losses.noise import NoiseWeightedLoss


class AlignedMSELoss(NoiseWeightedLoss):
    """``mean_i |x_i - (R x*_i + t)|^2`` in squared model units, the square of the RMSD.

    The native structure is laid onto the predicted one by the best proper rigid motion, which is a
    constant here (AlphaFold 3, suppl. Algorithm 28 and Eq. 3); a mirror image does not fit. Unlike
    there all residues weigh the same, and the three axes are added up.
    """

    config: AlignedMSEConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        coords = prediction["coords"]
        laid = superpose(truth.ca, coords.detach(), truth.mask).apply(truth.ca)
        return masked_mean((coords - laid).square().sum(-1), truth.mask)
