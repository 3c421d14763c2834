"""Config of EDM's process."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from minifold_core.components import ComponentConfig
from minifold_core.units import SIGMA_DATA


class EDMConfig(ComponentConfig):
    """Lognormal noise levels in training, and steps that are even in ``σ^(1/rho)``.

    The defaults are AlphaFold 3's (Abramson et al. 2024, supplement 3.7.1), relative to the
    ``sigma_data`` of single chains. Karras et al. 2022 have ``p_std`` 1.2.

    Lengths are in ångström where a model unit is 10 Å. With ``[coordinates] scale = "rg"`` it is
    each protein's radius of gyration, and 10 stands for that: ``sigma_data`` is 10/√3 then,
    in the denoiser and the losses too.

    Attributes:
        timesteps: number of noise levels T: evenly spaced quantiles of the lognormal distribution
            between ``sigma_min`` and ``sigma_max``, both among them.
        sigma_data: standard deviation of centred coordinates per axis.
        p_mean: mean of ``ln(σ / sigma_data)`` in training.
        p_std: standard deviation of that.
        sigma_min: σ of the last sampling step.
        sigma_max: σ of the first sampling step.
        rho: how much closer steps are where there is less noise.
    """

    timesteps: int = Field(default=1000, ge=4)
    sigma_data: float = Field(default=SIGMA_DATA, gt=0)
    p_mean: float = -1.2
    p_std: float = Field(default=1.5, ge=0.1)
    sigma_min: float = Field(default=0.00336, ge=1e-4)
    sigma_max: float = Field(default=1344.0, le=1e6)
    rho: float = Field(default=7.0, ge=1)

    @model_validator(mode="after")
    def _range(self) -> Self:
        median = self.sigma_data * math.exp(self.p_mean)
        if not self.sigma_min < median < self.sigma_max:
            raise ValueError(
                f"sigma_min {self.sigma_min:g} and sigma_max {self.sigma_max:g} do not enclose the "
                f"median noise level of training, {median:g} (sigma_data * exp(p_mean))"
            )
        return self
