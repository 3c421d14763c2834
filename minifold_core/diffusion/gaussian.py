"""Noising by Gaussian noise: the same steps for every schedule, DDPM's, flow matching's or EDM's.

Each of these processes has states ``α_t x_0 + σ_t ε`` and differs from the others in the scale of
the states and in which ratios ``α / σ`` it visits. Here all states have the same scale, so that
what is left of a process is a table of noise levels and a choice of them to sample at.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor

from minifold_core.components import ComponentConfig
from minifold_core.diffusion.noise import centred_noise
from minifold_core.errors import RequestError
from minifold_core.geometry.size import centred
from minifold_core.interfaces import Generators, Process


class GaussianProcess(Process):
    """``x_t = √a_t x_0 + √(1 - a_t) ε``, with ε centred like the data; undone by DDIM steps.

    Training draws times uniformly, so the table is also the distribution of noise levels.
    """

    def __init__(self, config: ComponentConfig, signal: Tensor) -> None:
        """``signal`` [T] is a_t in float64 on the CPU, falling, below 1; only the last may be 0."""
        super().__init__(config)
        self.signal = signal

    @property
    def timesteps(self) -> int:
        """Number of noise levels T."""
        return len(self.signal)

    def snr(self, t: Tensor) -> Tensor:
        """[B] ``a / (1 - a)`` in float32, at times [B]."""
        return _look_up(self.signal / (1 - self.signal), t, torch.float32)

    def noise(self, x0: Tensor, t: Tensor, mask: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] noised states of centred ``x0`` [B, L, 3] at times [B]."""
        signal = _look_up(self.signal.sqrt(), t, x0.dtype)[:, None, None]
        noise = _look_up((1 - self.signal).sqrt(), t, x0.dtype)[:, None, None]
        epsilon = centred_noise(mask, generators).to(x0.dtype)
        return (signal * x0 + noise * epsilon) * mask[..., None]

    def prior(self, mask: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] centred noise of unit variance: at the last time a is 0 or nearly so."""
        return centred_noise(mask, generators)

    def trajectory(self, steps: int) -> list[int]:
        """The times of :meth:`grid`.

        Raises:
            RequestError: more steps than noise levels, or fewer than one.
        """
        if not 1 <= steps <= self.timesteps:
            raise RequestError(
                f"{steps} sampling steps asked for; the process has {self.timesteps} noise levels: "
                f"choose 1 to {self.timesteps}"
            )
        return self.grid(steps)

    @abstractmethod
    def grid(self, steps: int) -> list[int]:
        """``steps`` (1 to T) different times, falling from T - 1."""

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

        With eta = 1 it draws from q(x_s | x_t, x_0), for s = t - 1 the posterior of Ho et al. 2020,
        Eq. 6-7. With eta = 0 it is Euler's step of the probability flow, both in the coordinates of
        flow matching (of dx/dτ = (x - x_0) / τ) and in those of EDM (of dx/dσ = (x - x_0) / σ).
        ``x0`` is centred first, so that a prediction that drifts does not move the state.
        """
        x0 = centred(x0, mask)
        if s is None:
            return x0
        signal_t, signal_s = float(self.signal[t]), float(self.signal[s])
        epsilon = (x_t - math.sqrt(signal_t) * x0) / math.sqrt(1 - signal_t)
        variance = eta**2 * (1 - signal_s) / (1 - signal_t) * (1 - signal_t / signal_s)
        kept = max(0.0, 1 - signal_s - variance)  # 0 at eta 1 from pure noise, but for rounding
        mean = math.sqrt(signal_s) * x0 + math.sqrt(kept) * epsilon
        if eta == 0:
            return mean
        deviation = temperature * math.sqrt(variance)
        return mean + deviation * centred_noise(mask, generators).to(mean.dtype)


def nearest_levels(levels: Tensor, wanted: Tensor) -> list[int]:
    """The places of different entries of ``levels`` nearest to those ``wanted``.

    Where entries are too sparse, an entry that is taken already makes way for the next below it,
    and none is taken that would leave too few for the rest.

    Args:
        levels: [T] rising.
        wanted: [K] falling, 1 <= K <= T.

    Returns:
        K falling indices.
    """
    nearest = torch.searchsorted((levels[1:] + levels[:-1]) / 2, wanted).tolist()
    places: list[int] = []
    last = len(levels)
    for done, place in enumerate(nearest, start=1):
        last = max(min(place, last - 1), len(nearest) - done)
        places.append(last)
    return places


def _look_up(table: Tensor, t: Tensor, dtype: torch.dtype) -> Tensor:
    """Entries of a float64 table on the CPU, as ``dtype`` on the device of times ``t`` [B]."""
    return table.to(dtype).to(t.device)[t]
