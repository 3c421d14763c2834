"""A noising process as two numbers per noise level."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.interfaces import Process


class Levels(NamedTuple):
    """``x_t = signal_t x_0 + noise_t ε`` with ε of unit variance per axis.

    Attributes:
        signal: [T] float64, measured: what is left of x_0 when the same noise is drawn without it.
        noise: [T] float64, claimed: what the signal-to-noise ratio that networks are told implies
            of states that preserve variance.
    """

    signal: Tensor
    noise: Tensor

    @classmethod
    def of(cls, process: Process) -> Levels:
        """Measure a process whose states are linear in x_0."""
        t = torch.arange(process.timesteps)
        mask = torch.ones(len(t), 2, dtype=torch.bool)
        x0 = torch.tensor([[1.0, 0, 0], [-1, 0, 0]], dtype=torch.float64).repeat(len(t), 1, 1)

        def noised(x: Tensor) -> Tensor:
            return process.noise(x, t, mask, [torch.Generator().manual_seed(0)] * len(t))

        signal = (noised(x0) - noised(torch.zeros_like(x0)))[:, 0, 0]
        return cls(signal, (1 + process.snr(t).double()).rsqrt())
