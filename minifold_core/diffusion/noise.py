"""Noise without a centre of mass: states of a molecule know no absolute position."""

from __future__ import annotations

import torch
from torch import Tensor


def centred(x: Tensor, mask: Tensor) -> Tensor:
    """``x`` [B, L, 3] with the mean of its points in ``mask`` [B, L] moved to 0; 0 off mask."""
    known = mask[..., None]
    x = x.masked_fill(~known, 0)
    mean = x.sum(1, keepdim=True) / known.sum(1, keepdim=True).clamp(min=1)
    return (x - mean).masked_fill(~known, 0)


def centred_noise(mask: Tensor, generator: torch.Generator) -> Tensor:
    """[B, L, 3] standard normal noise in float32, projected onto centred states.

    It is drawn on the generator's device and moved to that of ``mask``, so that a CPU generator
    gives the same numbers on every device.
    """
    draw = torch.randn((*mask.shape, 3), generator=generator, device=generator.device)
    return centred(draw.to(mask.device), mask)
