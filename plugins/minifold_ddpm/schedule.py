"""The cosine noise schedule."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine_signal(timesteps: int, offset: float, max_beta: float) -> Tensor:
    """[timesteps] share of the variance that is signal, ᾱ (Nichol & Dhariwal 2021, Eq. 17).

    ``ᾱ(u) = cos²((u + s) / (1 + s) · π/2) / ᾱ(0)`` at u = (t + 1) / T for times t = 0 ... T - 1,
    so that even time 0 carries noise; steps of more than ``max_beta`` are cut to it.

    Returns:
        float64 on the CPU: near the end ᾱ is 1e-9, and steps divide by its differences.
    """
    u = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    ideal = ((u + offset) / (1 + offset) * (math.pi / 2)).cos().pow(2)
    beta = (1 - ideal[1:] / ideal[:-1]).clamp(max=max_beta)
    return (1 - beta).cumprod(0)
