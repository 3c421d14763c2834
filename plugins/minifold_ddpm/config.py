"""Config of the denoising diffusion process."""

from __future__ import annotations

from pydantic import Field

from minifold_core.components import ComponentConfig


class DDPMConfig(ComponentConfig):
    """The cosine schedule (Nichol & Dhariwal 2021, Eq. 17).

    Attributes:
        timesteps: number of noise levels T.
        offset: the schedule's s, which keeps the first steps from being too small.
        max_beta: upper bound of the variance that one step adds.
    """

    timesteps: int = Field(default=1000, ge=4)
    offset: float = Field(default=0.008, gt=0)
    max_beta: float = Field(default=0.999, gt=0, lt=1)
