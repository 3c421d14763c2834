"""Noising processes: levels, noise, the way back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise, product

import torch
from torch import Tensor

from minifold_core.errors import RequestError
from minifold_core.geometry.size import centred
from minifold_core.interfaces import Process
from minifold_core.testing.compare import devices, difference, follows
from minifold_core.testing.inputs import LENGTHS, draw_truth
from minifold_core.testing.network import EXACT, check_needs
from minifold_core.testing.subject import Subject, expect

CLOSE = 1e-5
"""States are drawn in float32."""
STEPS = 10
RESIDUES = 1000
SPREAD = 0.05
"""Of a standard deviation found from that many points: four times its standard error."""
SEEDS = range(len(LENGTHS))


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One source of randomness for each protein."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def build(subject: Subject) -> Process:
    """The process under test."""
    check_needs(subject)
    return subject.build()


def levels(subject: Subject) -> None:
    """Times run from little noise to much, and a trajectory comes back down."""
    process = build(subject)
    t = torch.arange(process.timesteps)
    snr = process.snr(t)
    expect(snr.shape == t.shape, f"snr of {len(t)} times has shape {tuple(snr.shape)}")
    expect(bool((snr >= 0).all() and snr.isfinite().all()), "snr is negative or not finite")
    expect(bool((snr.diff() < 0).all()), "snr does not fall from each time to the next")
    for steps in sorted({1, 2, min(50, len(t)), len(t)}):
        times = process.trajectory(steps)
        expect(len(times) == steps, f"{steps} steps asked for, trajectory has {len(times)}")
        falling = all(a > b for a, b in pairwise(times))
        expect(falling, f"the trajectory of {steps} steps does not descend")
        expect(
            times[0] == len(t) - 1 and times[-1] >= 0,
            f"the trajectory of {steps} steps goes from {times[0]} to {times[-1]}, and not from "
            f"the noisiest time, {len(t) - 1}",
        )
    for steps in (0, len(t) + 1):
        try:
            process.trajectory(steps)
        except RequestError:
            continue
        expect(False, f"a trajectory of {steps} steps is not refused by a RequestError")


def noise(subject: Subject) -> None:
    """States are centred, 0 off the mask, finite, and as wide as the coordinates."""
    process, (x0, mask) = build(subject), _structures()
    for name, x in _states(process, x0, mask, SEEDS).items():
        expect(x.shape == x0.shape, f"{name} has shape {tuple(x.shape)}, not {tuple(x0.shape)}")
        expect(bool(x.isfinite().all()), f"{name} is not finite")
        expect(bool((x[~mask] == 0).all()), f"{name} is not 0 off the mask")
        off = float(x.sum(1).abs().max())
        expect(off < CLOSE, f"{name} is not centred (its points sum to {off:.2g})")
        same = name == "prior" or x.dtype == x0.dtype
        expect(same, f"{name} of {x0.dtype} coordinates is {x.dtype}")


def variance(subject: Subject) -> None:
    """States hold √a of the structure and √(1 - a) of unit noise, a = snr / (1 + snr)."""
    process = build(subject)
    mask = torch.ones(1, RESIDUES, dtype=torch.bool)
    x0 = centred(torch.randn(1, RESIDUES, 3, generator=generators([1])[0]).double(), mask)

    def deviation(noise: Tensor) -> float:
        return float((noise.square().sum() / (3 * (RESIDUES - 1))).sqrt())

    found = deviation(process.prior(mask, generators([0])))
    expect(abs(found - 1) < SPREAD, f"the standard deviation of the prior is {found:.2f}, not 1")
    for t in range(0, process.timesteps, max(1, process.timesteps // 8)):
        time = torch.tensor([t])
        snr = float(process.snr(time))
        plain = process.noise(torch.zeros_like(x0), time, mask, generators([0]))
        signal = process.noise(x0, time, mask, generators([0])) - plain
        off = difference(signal, (snr / (1 + snr)) ** 0.5 * x0)
        expect(
            off < CLOSE,
            f"the state at time {t} does not hold the structure times the root of "
            f"snr / (1 + snr) (off by {off:.2g})",
        )
        found, right = deviation(plain), (1 + snr) ** -0.5
        expect(
            abs(found / right - 1) < SPREAD,
            f"the standard deviation of the noise at time {t} is {found:.2g}, and not the root of "
            f"1 / (1 + snr), {right:.2g}",
        )


def steps(subject: Subject) -> None:
    """From pure noise, with the native structure as prediction, the sampler arrives at it."""
    process, (x0, mask) = build(subject), _structures()
    draws = generators(SEEDS)
    for eta in (0.0, 1.0):
        x = process.prior(mask, draws).to(x0)
        times = process.trajectory(min(STEPS, process.timesteps))
        for t, s in zip(times, [*times[1:], None], strict=True):
            x = process.step(x, x0, t, s, mask, eta, draws)
        off = difference(x, x0)
        expect(
            off < EXACT,
            f"the step to no noise does not return the prediction (eta {eta:g}, off by {off:.2g})",
        )


def temperature(subject: Subject) -> None:
    """The noise that a step adds is scaled by the temperature, and nothing else is."""
    process, (x0, mask) = build(subject), _structures()
    last = process.timesteps - 1
    x_t = process.prior(mask, generators(SEEDS)).to(x0)

    def step(temperature: float) -> Tensor:
        return process.step(x_t, x0, last, last // 2, mask, 1.0, generators(SEEDS), temperature)

    added = step(1.0) - step(0.0)
    expect(bool(added.any()), "a step adds the same noise at temperature 1 as at 0")
    off = difference(step(0.25) - step(0.0), 0.25 * added)
    expect(off < CLOSE, f"a temperature of 0.25 does not add a quarter of the noise ({off:.2g})")


def independence(subject: Subject) -> None:
    """Each protein draws from its own generator alone, whatever is beside it."""
    process, (x0, mask) = build(subject), _structures()
    together = _states(process, x0, mask, SEEDS)
    again = _states(process, x0, mask, SEEDS)
    for name, value in together.items():
        same = torch.equal(value, again[name])
        expect(same, f"{name} differs between generators of equal seeds")
    for i, length in enumerate(LENGTHS):
        part = (slice(i, i + 1), slice(length))
        alone = _states(process, x0[part], mask[part], SEEDS[i : i + 1])
        for name, value in alone.items():
            off = difference(value, together[name][part])
            expect(off < CLOSE, f"{name} of protein {i + 1} depends on batch mates ({off:.2g})")


def placement(subject: Subject) -> str:
    """Generators stay on the CPU, states follow the device of coordinates and mask."""
    process, (x0, mask) = build(subject), _structures(torch.float32)
    for device in devices():
        there = (x0.to(device), mask.to(device))
        follows(device, partial(_states, process, *there, SEEDS))
    return ", ".join(devices())


def _states(process: Process, x0: Tensor, mask: Tensor, seeds: Sequence[int]) -> dict[str, Tensor]:
    """What the process makes at its middle and last level, also of a prediction that drifts."""
    last = process.timesteps - 1
    middle, count = last // 2, len(mask)
    made = {"prior": process.prior(mask, generators(seeds))}
    for t in (middle, last):
        times = torch.full((count,), t, device=mask.device)
        made[f"noise at time {t}"] = process.noise(x0, times, mask, generators(seeds))
    x_t, drifting = made["prior"].to(x0), 0.5 * x0 + 1.0
    for eta, s in product((0.0, 1.0), (middle, None)):
        x_s = process.step(x_t, drifting, last, s, mask, eta, generators(seeds))
        made[f"step from {last} to {s} (eta {eta:g})"] = x_s
    return made


def _structures(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Centred coordinates [B, L, 3] and their mask."""
    truth = draw_truth(dtype=dtype)
    return centred(truth.ca, truth.mask), truth.mask
