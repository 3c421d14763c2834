"""Flow matching with straight paths, on centred Cα coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.diffusion.gaussian import GaussianProcess, nearest_levels
from minifold_core.units import MODEL_UNIT
from minifold_flow.config import FlowConfig


class Flow(GaussianProcess):
    """``y_τ = (1 - τ) x_0 + τ c ε`` (Lipman et al. 2023; Albergo & Vanden-Eijnden 2023).

    Its states are ``y_τ`` over their scale ``√((1 - τ)² + (τ c)²)``, with c the noise in model
    units. At eta 0 a step is Euler's along the velocity ``(y_τ - x̂_0) / τ``.
    """

    def __init__(self, config: FlowConfig) -> None:
        self.tau = _quantiles(config)
        data, noise = (1 - self.tau).square(), (self.tau * config.noise / MODEL_UNIT).square()
        super().__init__(config, data / (data + noise))

    def grid(self, steps: int) -> list[int]:
        """Times nearest to evenly spaced τ, from pure noise (τ = 1) to the last before 0."""
        even = torch.arange(steps, 0, -1, dtype=torch.float64) / steps
        return nearest_levels(self.tau, even)


def _quantiles(config: FlowConfig) -> Tensor:
    """[T] rising τ in float64; the last is 1."""
    share = torch.arange(1, config.timesteps + 1, dtype=torch.float64) / config.timesteps
    if config.time_distribution == "uniform":
        return share
    return torch.special.ndtri(share).sigmoid()
