"""Losses that count more where a structure carries less noise."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from minifold_core.batch import Truth
from minifold_losses.base import FullPrecisionLoss
from minifold_losses.config import NoiseWeightedConfig


class NoiseWeightedLoss(FullPrecisionLoss):
    """A loss times a weight of its noise level, where its config asks for one."""

    config: NoiseWeightedConfig

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] one value per protein; see :class:`minifold_core.interfaces.Loss`."""
        value = super().__call__(prediction, truth)
        if self.config.noise_weight == "none":
            return value
        return value * noise_weight(self.config, prediction["snr"], truth.scale)


def noise_weight(config: NoiseWeightedConfig, snr: Tensor, scale: Tensor) -> Tensor:
    """[B] weights at signal-to-noise ratios [B], with ``scale`` [B] ångström per model unit.

    A state, scaled so that x_0 has the factor 1, carries noise of standard deviation
    ``σ = snr^-1/2`` model units. ``edm`` is σ_data² λ(σ) with λ of Karras et al. 2022, Table 1:
    ``(σ² + σ_data²) / σ² = 1 + σ_data² snr``, 1 in pure noise. ``snr`` is that less 1, by which an
    error of x_0 counts as the error of ε that it makes (Salimans & Ho 2022, section 4); with its
    limit it is the weighting of Hang et al. 2023.
    """
    ratio = (config.sigma_data / scale).square() * snr.to(scale)
    return (ratio + (config.noise_weight == "edm")).clamp(max=config.noise_weight_limit)
