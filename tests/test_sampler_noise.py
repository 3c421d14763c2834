"""The noise of sampling: seeds, eta, temperature, and the way that a sample took."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from minifold_core.diffusion.sampler import sample
from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.process import DDPM
from sampler_models import BATCH, PROCESS, DriftModel, Model, generator, native


def test_a_seed_decides_the_sample():
    def draw(seed, eta):
        return sample(
            DriftModel(),
            PROCESS,
            BATCH,
            steps=10,
            eta=eta,
            generators=[generator(seed)] * len(BATCH),
        ).coords

    for eta in (0.0, 1.0):
        assert torch.equal(draw(1, eta), draw(1, eta))
        assert not torch.allclose(draw(1, eta), draw(2, eta))
    assert not torch.allclose(draw(1, 0.0), draw(1, 1.0))


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_eta_1_with_all_steps_is_ancestral_sampling(temperature):
    """Ho et al. 2020, Algorithm 2 in the form of Eq. 6-7: the closed form, from betas alone."""
    count = 40
    ends = [math.cos((t / count + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(count + 1)]
    betas = [min(1 - b / a, 0.999) for a, b in pairwise(ends)]
    kept = [math.prod(1 - beta for beta in betas[:t]) for t in range(count + 1)]

    draws = [generator(3)] * len(BATCH)
    process = DDPM(DDPMConfig(timesteps=count))
    x = temperature * process.prior(BATCH.mask, draws).double()
    for t in range(count, 0, -1):
        beta, now, before = betas[t - 1], kept[t], kept[t - 1]
        mean = math.sqrt(before) * beta * (0.5 * x) + math.sqrt(1 - beta) * (1 - before) * x
        x = mean / (1 - now)
        if t > 1:
            z = process.prior(BATCH.mask, draws).double()
            x = x + temperature * math.sqrt((1 - before) / (1 - now) * beta) * z

    sampled = sample(
        DriftModel(),
        process,
        BATCH,
        steps=count,
        eta=1.0,
        temperature=temperature,
        generators=[generator(3)] * len(BATCH),
    ).coords
    torch.testing.assert_close(sampled, (10 * x).float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_temperature_scales_all_the_noise_and_nothing_else(eta):
    def draw(model, temperature):
        return sample(
            model,
            PROCESS,
            BATCH,
            steps=6,
            eta=eta,
            temperature=temperature,
            generators=[generator()] * len(BATCH),
        ).coords

    # With a linear model the sample is linear in the noise; an oracle's sample has none.
    torch.testing.assert_close(draw(DriftModel(), 0.3), 0.3 * draw(DriftModel(), 1.0))
    torch.testing.assert_close(draw(Model(native()), 3.0), 10 * native())


def test_a_recorded_trajectory_is_the_way_to_the_sample():
    def draw(record):
        return sample(
            DriftModel(),
            PROCESS,
            BATCH,
            steps=5,
            copies=2,
            generators=[generator(k) for k in range(4)],
            record=record,
        )

    result, plain = draw(True), draw(False)
    assert plain.trajectory is None
    assert torch.equal(result.coords, plain.coords)
    states, predictions = result.trajectory.states, result.trajectory.predictions
    assert states.shape == predictions.shape == (5, 4, *result.coords.shape[1:])
    mask, prior_draws = result.mask, [generator(k) for k in range(4)]
    torch.testing.assert_close(states[0], 10 * PROCESS.prior(mask, prior_draws))
    torch.testing.assert_close(predictions, 0.5 * states)
    assert torch.equal(predictions[-1], result.coords)
    for k, (t, s) in enumerate(pairwise(PROCESS.trajectory(5))):
        step = PROCESS.step(states[k], predictions[k], t, s, mask, 0.0, prior_draws)
        torch.testing.assert_close(states[k + 1], step)
