"""Noise levels as features."""

from __future__ import annotations

import torch
from torch import Tensor


def sinusoids(t: Tensor, width: int) -> Tensor:
    """[B, width] sines and cosines of times [B], periods from 2π to 10⁴·2π (Vaswani 2017, 3.5)."""
    exponents = torch.arange(width // 2, device=t.device) / (width // 2)
    angles = t[:, None] * 10_000.0**-exponents
    return torch.cat([angles.sin(), angles.cos()], -1)
