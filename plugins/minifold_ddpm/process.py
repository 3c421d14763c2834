"""Denoising diffusion on centred Cα coordinates, undone by DDIM steps."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minifold_core.diffusion.noise import centred, centred_noise
from minifold_core.errors import RequestError
from minifold_core.interfaces import Generators, Process
from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.schedule import cosine_signal


class DDPM(Process):
    """``x_t = √ᾱ_t x_0 + √(1 - ᾱ_t) ε`` (Ho et al. 2020), with ε centred like the data.

    Time t counts from 0; papers that count from 1 call the same noise level t + 1.
    """

    config: DDPMConfig

    def __init__(self, config: DDPMConfig) -> None:
        super().__init__(config)
        self._signal = cosine_signal(config.timesteps, config.offset, config.max_beta)

    @property
    def timesteps(self) -> int:
        """Number of noise levels T."""
        return self.config.timesteps

    def snr(self, t: Tensor) -> Tensor:
        """[B] ``ᾱ / (1 - ᾱ)`` in float32, at times [B]."""
        return _look_up(self._signal / (1 - self._signal), t, torch.float32)

    def noise(self, x0: Tensor, t: Tensor, mask: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] noised states of centred ``x0`` [B, L, 3] at times [B]."""
        signal = _look_up(self._signal.sqrt(), t, x0.dtype)[:, None, None]
        noise = _look_up((1 - self._signal).sqrt(), t, x0.dtype)[:, None, None]
        epsilon = centred_noise(mask, generators).to(x0.dtype)
        return (signal * x0 + noise * epsilon) * mask[..., None]

    def prior(self, mask: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] centred noise of unit variance: at the last time ᾱ is practically 0."""
        return centred_noise(mask, generators)

    def trajectory(self, steps: int) -> list[int]:
        """``steps`` evenly spaced times, from T - 1 down to the last before the data."""
        if not 1 <= steps <= self.timesteps:
            raise RequestError(
                f"{steps} sampling steps asked for; the process has {self.timesteps} noise levels: "
                f"choose 1 to {self.timesteps}"
            )
        return [self.timesteps * k // steps - 1 for k in range(steps, 0, -1)]

    def step(
        self,
        x_t: Tensor,
        x0: Tensor,
        t: int,
        s: int | None,
        mask: Tensor,
        eta: float,
        generators: Generators,
        temperature: float = 1.0,
    ) -> Tensor:
        """One DDIM step (Song et al. 2021, Eq. 12 and 16).

        With eta = 1 and s = t - 1 it draws from the posterior q(x_s | x_t, x_0) of Ho et al. 2020,
        Eq. 6-7: T such steps are DDPM sampling with the smaller of its two variances. ``x0`` is
        centred first, so that a prediction that drifts does not move the state.
        """
        x0 = centred(x0, mask)
        if s is None:
            return x0
        signal_t, signal_s = float(self._signal[t]), float(self._signal[s])
        epsilon = (x_t - math.sqrt(signal_t) * x0) / math.sqrt(1 - signal_t)
        variance = eta**2 * (1 - signal_s) / (1 - signal_t) * (1 - signal_t / signal_s)
        mean = math.sqrt(signal_s) * x0 + math.sqrt(1 - signal_s - variance) * epsilon
        if eta == 0:
            return mean
        deviation = temperature * math.sqrt(variance)
        return mean + deviation * centred_noise(mask, generators).to(mean.dtype)


def _look_up(table: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
    """Entries of a float64 table on the CPU, as ``dtype`` on the device of times ``t`` [B]."""
    return table.to(dtype).to(t.device)[t]
