"""Config of the flow-matching process."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from minifold_core.components import ComponentConfig
from minifold_core.units import MODEL_UNIT


class FlowConfig(ComponentConfig):
    """Straight paths ``(1 - τ) x_0 + τ noise ε`` between a structure and noise.

    Lengths are in ångström where a model unit is 10 Å. With ``[coordinates] scale = "rg"`` it is
    each protein's radius of gyration, and 10 stands for that.

    Attributes:
        timesteps: number of noise levels T: the quantiles (t + 1) / T of the distribution of τ.
        time_distribution: of τ in training: uniform, or logit-normal, the logistic function of a
            standard normal variable, which trains the middle more (Esser et al. 2024, Eq. 19).
        noise: standard deviation of the noise at τ = 1, per axis. More of it moves all noise levels
            up; in a picture of the path, it is the width of the cloud where the path begins.
    """

    timesteps: int = Field(default=1000, ge=4)
    time_distribution: Literal["uniform", "logit_normal"] = "uniform"
    noise: float = Field(default=MODEL_UNIT, ge=0.1)
