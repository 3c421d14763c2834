"""The diffusion process: its schedule, its noise and its steps."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_core.diffusion.noise import centred
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


def test_noise_is_centred_masked_and_of_the_right_variance():
    mask = torch.ones(400, 60, dtype=torch.bool)
    mask[:, 50:] = False
    for t in (0, 300, 999):
        times = torch.full((400,), t)
        noised = PROCESS.noise(torch.zeros(400, 60, 3), times, mask, [generator()] * len(mask))
        assert noised[:, :50].mean(1).abs().max() < 1e-6
        assert (noised[:, 50:] == 0).all()
        # Centring removes one of fifty degrees of freedom.
        variance = noised[:, :50].var(unbiased=False) * 50 / 49
        assert float(variance) == pytest.approx(1 - signal(t), rel=0.02)


def test_noise_keeps_the_signal_at_each_proteins_own_time():
    mask = torch.ones(3, 20, dtype=torch.bool)
    x0 = centred(torch.randn(3, 20, 3, dtype=torch.float64, generator=generator(1)), mask)
    times = torch.tensor([0, 500, 999])
    with_signal = PROCESS.noise(x0, times, mask, [generator()] * len(mask))
    without = PROCESS.noise(torch.zeros_like(x0), times, mask, [generator()] * len(mask))
    for row, t in enumerate(times.tolist()):
        torch.testing.assert_close(
            with_signal[row] - without[row], math.sqrt(signal(t)) * x0[row], rtol=1e-5, atol=1e-7
        )


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


@pytest.mark.parametrize("t", [1, 2, 400, 998, 999])
def test_eta_1_is_the_posterior(t):
    """Ho et al. 2020, Eq. 7: mean and variance of q(x_{t-1} | x_t, x_0)."""
    mask = torch.ones(1, 30, dtype=torch.bool)
    x0, x_t = (
        centred(torch.randn(1, 30, 3, dtype=torch.float64, generator=generator(k)), mask)
        for k in (1, 2)
    )
    now, before = signal(t), signal(t - 1)
    alpha = now / before
    mean = (math.sqrt(before) * (1 - alpha) * x0 + math.sqrt(alpha) * (1 - before) * x_t) / (
        1 - now
    )
    deviation = math.sqrt((1 - before) / (1 - now) * (1 - alpha))
    z = PROCESS.prior(mask, [generator()] * len(mask)).double()
    stepped = PROCESS.step(x_t, x0, t, t - 1, mask, 1.0, [generator()] * len(mask))
    torch.testing.assert_close(stepped, mean + deviation * z, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_temperature_scales_what_a_step_adds(eta):
    mask = torch.ones(1, 30, dtype=torch.bool)
    x0, x_t = (centred(torch.randn(1, 30, 3, generator=generator(k)), mask) for k in (1, 2))

    def step(temperature):
        return PROCESS.step(x_t, x0, 700, 300, mask, eta, [generator()], temperature)

    added = step(1.0) - step(0.0)
    torch.testing.assert_close(step(0.25) - step(0.0), 0.25 * added, rtol=1e-4, atol=1e-6)
    assert bool(added.any()) == (eta > 0)


def test_eta_0_keeps_the_noise_and_draws_none():
    mask = torch.ones(1, 30, dtype=torch.bool)
    x0 = centred(torch.randn(1, 30, 3, generator=generator(1)), mask)
    used = generator()
    noised = PROCESS.noise(x0, torch.tensor([700]), mask, [used])
    state = used.get_state()
    stepped = PROCESS.step(noised, x0, 700, 300, mask, 0.0, [used])
    assert torch.equal(used.get_state(), state)
    same_noise = PROCESS.noise(x0, torch.tensor([300]), mask, [generator()] * len(mask))
    torch.testing.assert_close(stepped, same_noise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [100, 1000])
def test_the_ideal_denoiser_of_gaussian_data_reproduces_its_variance(eta, steps):
    """Data of variance v have the linear denoiser x̂ = √ᾱ v x_t / (ᾱ v + 1 - ᾱ)."""
    v, mask, draws = 0.7, torch.ones(100, 60, dtype=torch.bool), [generator()] * 100
    x = PROCESS.prior(mask, draws)
    times = PROCESS.trajectory(steps)
    for t, s in zip(times, [*times[1:], None], strict=True):
        a = signal(t)
        x = PROCESS.step(x, math.sqrt(a) * v / (a * v + 1 - a) * x, t, s, mask, eta, draws)
    variance = float(x.var(unbiased=False)) * 60 / 59
    assert variance == pytest.approx(v, rel=0.05 if steps == 1000 else 0.15)
