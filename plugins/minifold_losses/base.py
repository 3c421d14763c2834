"""What the losses share: full precision, and means over the valid items of each protein."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Loss


class FullPrecisionLoss(Loss):
    """A loss computed in float32 or wider, whatever autocast or the prediction's dtype say."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] one value per protein; see :class:`minifold_core.interfaces.Loss`."""
        with torch.autocast(truth.backbone.device.type, enabled=False):
            wide = {
                name: at_least_fp32(x) if x.is_floating_point() else x
                for name, x in prediction.items()
                if x is not None
            }
            return self.measure(wide, truth)

    @abstractmethod
    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] the loss of a prediction in full precision; optional ports may be absent."""


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """[B] mean of ``values`` [B, ...] where ``mask`` [B, ...]; 0 where a protein has no item."""
    total = values.masked_fill(~mask, 0).flatten(1).sum(1)
    return total / mask.flatten(1).sum(1).clamp(min=1)


def pair_mask(mask: Tensor) -> Tensor:
    """[B, L, L] True for pairs of two different residues in ``mask`` [B, L]."""
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return mask[:, :, None] & mask[:, None, :] & ~itself
