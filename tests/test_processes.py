"""What holds of every process: its steps are the posterior, Euler's, and right in the limit."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from minifold_core.diffusion.gaussian import GaussianProcess, nearest_levels
from minifold_core.geometry.size import centred
from process_cases import PROCESSES

MASK = torch.ones(1, 30, dtype=torch.bool)


@pytest.fixture(params=PROCESSES)
def process(request: pytest.FixtureRequest) -> GaussianProcess:
    return PROCESSES[request.param]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shares(process: GaussianProcess, t: int) -> tuple[float, float]:
    """a and 1 - a from what the process tells of its noise, each to seven digits."""
    snr = float(process.snr(torch.tensor([t])))
    return snr / (1 + snr), 1 / (1 + snr)


def pair() -> tuple[Tensor, Tensor]:
    """A structure and a state [1, 30, 3]."""
    x0, x_t = (
        centred(torch.randn(1, 30, 3, dtype=torch.float64, generator=generator(k)), MASK)
        for k in (1, 2)
    )
    return x0, x_t


@pytest.mark.parametrize("gap", [1, 50])
@pytest.mark.parametrize("t", [50, 400, 998, 999])
def test_eta_1_is_the_posterior(process: GaussianProcess, t: int, gap: int) -> None:
    """Bayes' rule for q(x_s | x_t, x_0); Ho et al. 2020, Eq. 7, is the case of s = t - 1."""
    x0, x_t = pair()
    s = t - gap
    (now, noise), (before, less) = shares(process, t), shares(process, s)
    alpha = now / before
    added = (noise - less + before - now) / 2 / before  # 1 - alpha, without cancellation
    mean = (math.sqrt(before) * added * x0 + math.sqrt(alpha) * less * x_t) / noise
    z = process.prior(MASK, [generator()]).double()
    stepped = process.step(x_t, x0, t, s, MASK, 1.0, [generator()])
    torch.testing.assert_close(
        stepped, mean + math.sqrt(less / noise * added) * z, rtol=1e-4, atol=1e-5
    )


def test_eta_0_keeps_the_noise_and_draws_none(process: GaussianProcess) -> None:
    x0, _ = pair()
    used = generator()
    noised = process.noise(x0, torch.tensor([700]), MASK, [used])
    state = used.get_state()
    stepped = process.step(noised, x0, 700, 300, MASK, 0.0, [used])
    assert torch.equal(used.get_state(), state)
    same_noise = process.noise(x0, torch.tensor([300]), MASK, [generator()])
    torch.testing.assert_close(stepped, same_noise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_a_temperature_scales_what_a_step_adds(process: GaussianProcess, eta: float) -> None:
    x0, x_t = pair()

    def step(temperature: float) -> Tensor:
        return process.step(x_t, x0, 700, 300, MASK, eta, [generator()], temperature)

    added = step(1.0) - step(0.0)
    torch.testing.assert_close(step(0.25) - step(0.0), 0.25 * added, rtol=1e-4, atol=1e-6)
    assert bool(added.any()) == (eta > 0)


def denoised(state: Tensor, signal: Tensor | float, noise: Tensor | float) -> Tensor:
    """The mean of x0 given ``signal x0 + noise ε``, in closed form and not linear.

    x0 is 0.9 or -0.9, each as often, plus Gaussian noise of deviation 0.3 (independent per axis).
    """
    variance = signal**2 * 0.09 + noise**2
    side = 0.9 * torch.tanh(0.9 * signal * state / variance)
    return (0.09 * signal * state + noise**2 * side) / variance


def descend(process: GaussianProcess, x: Tensor, times: list[int]) -> Tensor:
    """Deterministic steps with the denoiser above, as far as the last of the times."""
    for t, s in pairwise(times):
        a = float(process.signal[t])
        x0 = denoised(x, math.sqrt(a), math.sqrt(1 - a))
        x = process.step(x, x0, t, s, torch.ones(x.shape[:2], dtype=torch.bool), 0.0, [])
    return x


def mirrored() -> Tensor:
    """States [1, 60, 3] whose denoised structures stay centred, being odd."""
    half = torch.randn(1, 30, 3, dtype=torch.float64, generator=generator(3))
    return torch.cat([half, -half], 1)


def test_eta_0_is_eulers_step_of_the_flow(process: GaussianProcess) -> None:
    """Of dy/dτ = (y - x0) / τ on y = (1 - τ) x0 + τ ε (Lipman et al. 2023, Eq. 20-23)."""
    times = process.trajectory(12)
    ratio = [math.sqrt(a / (1 - a)) for a in process.signal[times].tolist()]  # (1 - τ) / τ
    tau = [1 / (1 + r) for r in ratio]
    x = mirrored()
    y = x * math.hypot(1 - tau[0], tau[0])
    for now, after in pairwise(tau):
        velocity = (y - denoised(y, 1 - now, now)) / now
        y = y + (after - now) * velocity
    torch.testing.assert_close(
        descend(process, x, times), y / math.hypot(1 - tau[-1], tau[-1]), rtol=1e-9, atol=1e-9
    )


def test_eta_0_is_eulers_step_of_edm(process: GaussianProcess) -> None:
    """Of dy/dσ = (y - D(y; σ)) / σ on y = x0 + σ ε (Karras et al. 2022, Algorithm 1)."""
    times = process.trajectory(12)[1:]  # the first may be pure noise, of infinite σ
    sigma = [math.sqrt((1 - a) / a) for a in process.signal[times].tolist()]
    x = mirrored()
    y = x * math.hypot(1, sigma[0])
    for now, after in pairwise(sigma):
        y = y + (after - now) * (y - denoised(y, 1.0, now)) / now
    torch.testing.assert_close(
        descend(process, x, times), y / math.hypot(1, sigma[-1]), rtol=1e-9, atol=1e-9
    )


def test_the_error_of_sampling_falls_as_the_step(process: GaussianProcess) -> None:
    """Against scipy's solution of the probability flow, with the angle of the noise for a time.

    ``x = cos θ x0 + sin θ ε`` has ``dx/dθ = -sin θ x0 + cos θ ε``, regular from pure noise on.
    """
    x = mirrored()

    def slope(angle: float, flat: list[float]) -> Tensor:
        state = torch.as_tensor(flat, dtype=torch.float64)
        x0 = denoised(state, math.cos(angle), math.sin(angle))
        epsilon = (state - math.cos(angle) * x0) / math.sin(angle)
        return math.cos(angle) * epsilon - math.sin(angle) * x0

    start = math.acos(math.sqrt(float(process.signal[-1])))
    solved = solve_ivp(slope, (start, 1e-7), x.flatten(), rtol=1e-9, atol=1e-11)
    exact = torch.from_numpy(solved.y[:, -1]).reshape(x.shape)

    def error(steps: int) -> float:
        times = process.trajectory(steps)
        x_t, a = descend(process, x, times), float(process.signal[times[-1]])
        end = denoised(x_t, math.sqrt(a), math.sqrt(1 - a))
        return float((end - exact).square().mean().sqrt())

    errors = [error(steps) for steps in (10, 20, 50)]
    assert errors[0] > errors[1] > errors[2]
    assert 0.75 < math.log(errors[0] / errors[2]) / math.log(5) < 1.25, errors


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [100, 1000])
def test_the_ideal_denoiser_of_gaussian_data_reproduces_its_variance(
    process: GaussianProcess, eta: float, steps: int
) -> None:
    """Data of variance v have the linear denoiser x̂ = √a v x_t / (a v + 1 - a)."""
    v, mask, draws = 0.7, torch.ones(1, 6000, dtype=torch.bool), [generator()]
    x = process.prior(mask, draws)
    times = process.trajectory(steps)
    for t, s in zip(times, [*times[1:], None], strict=True):
        a, noise = shares(process, t)
        x = process.step(x, math.sqrt(a) * v / (a * v + noise) * x, t, s, mask, eta, draws)
    assert float(x.var()) == pytest.approx(v, rel=0.05 if steps == 1000 else 0.15)


def test_the_nearest_levels_are_taken_once_and_leave_enough_for_the_rest() -> None:
    levels = torch.tensor([0.1, 0.2, 0.5, 0.9, 1.0, 3.0])
    assert nearest_levels(levels, torch.tensor([3.0, 0.6, 0.1])) == [5, 2, 0]
    assert nearest_levels(levels, torch.tensor([3.0, 2.9, 2.8])) == [5, 4, 3]
    assert nearest_levels(levels, torch.tensor([3.0, 0.1, 0.1, 0.1])) == [5, 2, 1, 0]
    for count in range(1, 7):
        places = nearest_levels(levels, torch.linspace(3, 0, count))
        assert len(places) == count
        assert places == sorted(set(places), reverse=True)
    assert places == [5, 4, 3, 2, 1, 0]
