"""Losses on torsions and rotamers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.interfaces import Loss
from minifold_sidechain.config import ChiConfig
from minifold_sidechain.ideal import tables
from minifold_sidechain.measure import Native, chi_cosine, full_precision, masked_mean, native
from minifold_sidechain.rotamers import rotamers_for


class NativeLoss(Loss):
    """A loss against native side chains, in full precision; 0 for a chain that has none."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] one value per protein; see :class:`minifold_core.interfaces.Loss`."""
        with torch.autocast(truth.backbone.device.type, enabled=False):
            return self.measure(full_precision(prediction), native(truth))

    @abstractmethod
    def measure(self, prediction: Mapping[str, Tensor], found: Native) -> Tensor:
        """[B] the loss."""


class ChiLoss(NativeLoss):
    """``1 - cos`` of the errors of torsions, at most that of ``clamp``.

    A torsion that half a turn changes in name alone counts its better name (AlphaFold 2, suppl.
    Algorithm 27, with the chord between the two points of the circle written as a cosine).
    """

    config: ChiConfig

    def measure(self, prediction: Mapping[str, Tensor], found: Native) -> Tensor:
        """[B] from ``chi`` [B, L, 4, 2]."""
        error = 1 - chi_cosine(prediction["chi"], found.chi, found.tokens)
        if self.config.clamp is not None:
            error = error.clamp(max=1 - math.cos(self.config.clamp))
        return masked_mean(error, found.defined)


class RotamerLoss(NativeLoss):
    """``-ln p`` of the basin in which each residue's native torsions lie.

    Of residues whose torsions are all known.
    """

    def measure(self, prediction: Mapping[str, Tensor], found: Native) -> Tensor:
        """[B] from ``rotamer_logits`` [B, L, 81]."""
        logits = prediction["rotamer_logits"]
        has = tables().chi_mask.to(found.tokens.device)[found.tokens]
        whole = (found.defined == has).all(-1) & has.any(-1)
        number = rotamers_for(found.chi).number(found.chi, found.tokens)
        chance = logits.log_softmax(-1).gather(-1, number[..., None]).squeeze(-1)
        return masked_mean(-chance, whole)
