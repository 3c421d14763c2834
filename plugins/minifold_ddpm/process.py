"""Denoising diffusion on centred Cα coordinates, undone by DDIM steps."""

from __future__ import annotations

from minifold_core.diffusion.gaussian import GaussianProcess
from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.schedule import cosine_signal


class DDPM(GaussianProcess):
    """``x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε`` (Ho et al. 2020), with ε centred like the data.

    Time t counts from 0; papers that count from 1 call the same noise level t + 1. With eta 1, T
    sampling steps are DDPM sampling with the smaller of its two variances.
    """

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__(config, cosine_signal(config.timesteps, config.offset, config.max_beta))

    def grid(self, steps: int) -> list[int]:
        """Evenly spaced times, from T - 1 down to the last before the data."""
        return [self.timesteps * k // steps - 1 for k in range(steps, 0, -1)]
