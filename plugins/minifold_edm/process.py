"""The noise levels of EDM, on centred Cα coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.diffusion.gaussian import GaussianProcess, nearest_levels
from minifold_core.units import MODEL_UNIT
from minifold_edm.config import EDMConfig


class EDM(GaussianProcess):
    """``y_σ = x_0 + σ ε`` (Karras et al. 2022), ``ln σ`` normal in training.

    Its states are ``y_σ / √(1 + σ²)``, σ in model units. At eta 0 a step is Euler's along
    ``dy/dσ = (y - x̂_0) / σ`` (their Algorithm 1 without the correction). The preconditioning of
    their network belongs to the denoiser.
    """

    def __init__(self, config: EDMConfig) -> None:
        sigma = _quantiles(config)
        # AF3 and Karras et al. sample beyond the noise that they trained on; here it is in the
        # table, if rarely, so the denoiser has seen every level.
        self.spaced = sigma ** (1 / config.rho)
        super().__init__(config, 1 / (1 + (sigma / MODEL_UNIT).square()))

    def grid(self, steps: int) -> list[int]:
        """Times nearest to σ evenly spaced in ``σ^(1/rho)`` (their Eq. 5), both ends included.

        The table has the quantiles of training's noise, which lie far apart at its ends: with more
        than some 50 steps, neighbours of the levels wanted there take their place.
        """
        first, last = float(self.spaced[-1]), float(self.spaced[0])
        return nearest_levels(self.spaced, torch.linspace(first, last, steps, dtype=torch.float64))


def _quantiles(config: EDMConfig) -> Tensor:
    """[T] rising σ in ångström, float64, from ``sigma_min`` to ``sigma_max``."""
    ends = torch.tensor([config.sigma_min, config.sigma_max], dtype=torch.float64)
    standard = ((ends / config.sigma_data).log() - config.p_mean) / config.p_std
    low, high = torch.special.ndtr(standard).tolist()
    share = torch.linspace(low, high, config.timesteps, dtype=torch.float64)
    normal = torch.special.ndtri(share)
    normal[[0, -1]] = standard  # far out, a share is too close to 0 or 1 to be inverted
    return config.sigma_data * (config.p_mean + config.p_std * normal).exp()
