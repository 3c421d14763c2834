"""The schedule of the diffusion process and the times at which it is sampled."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.process import DDPM

PROCESS = DDPM(DDPMConfig())
TIMES = torch.arange(1000)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def signal(t):
    """ᾱ from the signal-to-noise ratio, in float64."""
    snr = PROCESS.snr(torch.tensor([t])).double()
    return float(snr / (1 + snr))


def test_the_schedule_is_the_published_one():
    snr = PROCESS.snr(TIMES)
    assert bool((snr.diff() < 0).all())
    # The document counts times from 1; its share of confident frames pins schedule and counting.
    assert int((snr < 1).int().argmax()) + 1 == 497
    assert int((snr < 0.2).int().argmax()) + 1 == 731
    confidence = ((snr - 0.2) / 0.8).clamp(0, 1)
    assert float((confidence > 0.5).float().mean()) == pytest.approx(0.577, abs=1e-6)


def test_the_schedule_follows_its_formula():
    def ideal(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    for t in (0, 1, 250, 500, 900):
        assert signal(t) == pytest.approx(ideal((t + 1) / 1000) / ideal(0), rel=1e-5)
    # The last step would add all of the variance but for the bound on beta.
    assert signal(999) == pytest.approx(signal(998) * 0.001, rel=1e-5)


def test_the_prior_is_the_last_state():
    mask = torch.ones(2, 9, dtype=torch.bool)
    last = PROCESS.noise(
        torch.zeros(2, 9, 3), torch.tensor([999, 999]), mask, [generator()] * len(mask)
    )
    torch.testing.assert_close(PROCESS.prior(mask, [generator()] * len(mask)), last)


@pytest.mark.parametrize("steps", [1, 2, 3, 50, 333, 999, 1000])
def test_trajectories_descend_from_the_noisiest_time(steps):
    times = PROCESS.trajectory(steps)
    assert len(times) == steps
    assert times[0] == 999
    gaps = [a - b for a, b in zip(times, [*times[1:], -1], strict=True)]
    assert min(gaps) >= 1
    assert max(gaps) - min(gaps) <= 1
