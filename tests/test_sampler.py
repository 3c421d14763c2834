"""The sampler: with an oracle for a network, and the number of passes it asks of the trunk."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from minifold_core.batch import ProteinBatch
from minifold_core.diffusion.noise import centred
from minifold_core.diffusion.sampler import run_trunk, sample
from minifold_core.errors import RequestError
from minifold_core.residues import MASK
from minifold_ddpm.config import DDPMConfig
from minifold_ddpm.process import DDPM

PROCESS = DDPM(DDPMConfig())
BATCH = ProteinBatch.from_sequences(["ACDEFGHIKLMN", "PQRSTVWY"])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Model:
    """Answers ``offset`` + ``native`` where residues are shown, ``offset`` alone where masked."""

    def __init__(self, native=0.0, offset=0.0, feedback=0.0):
        self.native, self.offset, self.feedback = native, offset, feedback
        self.trunks: list[ProteinBatch] = []
        self.calls: list[dict] = []

    def trunk(self, batch):
        self.trunks.append(batch)
        shown = (batch.tokens.ne(MASK) & batch.mask).float()[..., None]
        return {
            "single": shown * self.native,
            "offset": self.offset * torch.ones_like(shown),
            "pair": shown[:, :, None] * shown[:, None, :],
        }

    def scale(self, trunk):
        return torch.full((len(trunk["single"]),), 10.0)

    def read_out(self, trunk, prediction, mask, scale):
        self.read = (trunk, prediction, mask)
        return {"backbone": prediction["coords"][:, :, None].expand(-1, -1, 4, -1)}

    def denoise(self, trunk, coords_t, t, snr, mask, coords_prev):
        self.calls.append({"t": t, "snr": snr, "coords_t": coords_t, "prev": coords_prev})
        assert len(trunk["pair"]) == len(coords_t) == len(t) == len(snr) == len(mask)
        coords = trunk["single"] + trunk["offset"]
        if coords_prev is not None:
            coords = coords + self.feedback * coords_prev
        turn = torch.eye(3).expand(*mask.shape, 3, 3) * trunk["single"][:, :1, :1, None]
        return {"coords": coords, "rotations": turn}


def native(seed=5):
    return centred(torch.randn(*BATCH.tokens.shape, 3, generator=generator(seed)), BATCH.mask)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_an_oracle_is_sampled_exactly_in_ångström(eta, steps):
    x0 = native()
    result = sample(
        Model(x0), PROCESS, BATCH, steps=steps, eta=eta, generators=[generator()] * len(BATCH)
    )
    torch.testing.assert_close(result.coords, 10 * x0)
    assert torch.equal(result.mask, BATCH.mask)


class PoseOracle:
    """The true structure in the pose that fits the noised state best, as an equivariant net's."""

    def __init__(self, x0):
        self.x0 = x0

    def trunk(self, batch):
        return {"x0": self.x0}

    def scale(self, trunk):
        return torch.full((len(trunk["x0"]),), 10.0)

    def read_out(self, trunk, prediction, mask, scale):
        return {}

    def denoise(self, trunk, coords_t, t, snr, mask, coords_prev):
        return {"coords": superposed(trunk["x0"], coords_t)}


def superposed(x, onto):
    """``x`` [B, L, 3] rotated onto ``onto`` (Kabsch 1976); both centred."""
    u, _, vt = torch.linalg.svd(x.transpose(1, 2) @ onto)
    turn = u @ torch.diag_embed(torch.stack([*torch.ones(2, len(x)), torch.det(u @ vt)], -1)) @ vt
    return x @ turn


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_oracle_that_follows_the_pose_returns_the_fold(eta):
    x0 = native()
    result = sample(
        PoseOracle(x0), PROCESS, BATCH, steps=50, eta=eta, generators=[generator()] * len(BATCH)
    )
    apart = superposed(10 * x0, result.coords) - result.coords
    assert result.rotations is None
    assert apart.pow(2).sum(-1).mean().sqrt() < 1e-3


@pytest.mark.parametrize(("guidance", "passes"), [(1.0, 1), (0.0, 1), (1.5, 2)])
def test_the_trunk_runs_once_per_condition(guidance, passes):
    model = Model(native())
    sample(
        model, PROCESS, BATCH, steps=20, guidance=guidance, generators=[generator()] * len(BATCH)
    )
    assert len(model.trunks) == passes
    assert len(model.calls) == 20
    assert all(len(call["t"]) == passes * len(BATCH) for call in model.calls)


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0, 2.0])
def test_guidance_mixes_the_two_predictions(guidance):
    x0, offset = native(), native(6)
    result = sample(
        Model(x0, offset),
        PROCESS,
        BATCH,
        steps=5,
        guidance=guidance,
        generators=[generator()] * len(BATCH),
    )
    torch.testing.assert_close(result.coords, 10 * (offset + guidance * x0))
    # Frames are those of the conditional branch, where there is one.
    scale = (guidance != 0) * x0[:, :1, :1, None]
    expected = torch.eye(3).expand(*BATCH.mask.shape, 3, 3) * scale
    torch.testing.assert_close(result.rotations, expected)


def test_both_branches_see_the_same_state_at_the_same_time():
    model = Model(native())
    sample(
        model, PROCESS, BATCH, steps=4, guidance=3.0, eta=1.0, generators=[generator()] * len(BATCH)
    )
    for call, t in zip(model.calls, PROCESS.trajectory(4), strict=True):
        for key in ("coords_t", "t", "snr"):
            conditional, null = call[key].chunk(2)
            assert torch.equal(conditional, null)
        assert (call["t"] == t).all()
        assert torch.equal(call["snr"], PROCESS.snr(call["t"]))


def test_heads_read_the_finished_structure_once_in_the_conditional_branch():
    model = Model(native(), native(6))
    result = sample(
        model, PROCESS, BATCH, steps=3, guidance=2.0, generators=[generator()] * len(BATCH)
    )
    trunk, prediction, mask = model.read
    assert torch.equal(10 * prediction["coords"], result.coords)
    assert torch.equal(prediction["rotations"], result.rotations)
    assert torch.equal(mask, BATCH.mask)
    assert torch.equal(trunk["single"], model.trunk(BATCH)["single"])
    assert torch.equal(result.backbone[:, :, 3], result.coords)


def test_self_conditioning_hands_on_the_guided_prediction():
    x0 = native()
    model = Model(x0, feedback=0.5)
    sample(model, PROCESS, BATCH, steps=3, guidance=2.0, generators=[generator()] * len(BATCH))
    first, second, third = (call["prev"] for call in model.calls)
    assert first is None
    torch.testing.assert_close(second.chunk(2)[0], 2 * x0)
    torch.testing.assert_close(third.chunk(2)[1], 3 * x0)
    without = Model(x0, feedback=0.5)
    sample(
        without,
        PROCESS,
        BATCH,
        steps=3,
        self_condition=False,
        generators=[generator()] * len(BATCH),
    )
    assert all(call["prev"] is None for call in without.calls)


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


class DriftModel(Model):
    """A prediction that depends on the state, so that samples differ."""

    def denoise(self, trunk, coords_t, t, snr, mask, coords_prev):
        return {"coords": 0.5 * coords_t}


def test_copies_share_one_trunk_pass_and_differ():
    model = DriftModel()
    result = sample(
        model, PROCESS, BATCH, steps=5, copies=3, generators=[generator()] * (3 * len(BATCH))
    )
    assert len(model.trunks) == 1
    assert len(model.trunks[0]) == len(BATCH)
    assert torch.equal(result.mask, BATCH.mask.repeat_interleave(3, 0))
    assert not torch.allclose(result.coords[0], result.coords[1])


def test_copies_of_one_protein_are_neighbours_under_guidance_too():
    x0, offset = native(), native(6)
    result = sample(
        Model(x0, offset),
        PROCESS,
        BATCH,
        steps=3,
        guidance=2.0,
        copies=2,
        generators=[generator()] * (2 * len(BATCH)),
    )
    torch.testing.assert_close(result.coords, 10 * (offset + 2 * x0).repeat_interleave(2, 0))


def test_progress_is_told():
    seen = []
    sample(
        Model(),
        PROCESS,
        BATCH,
        steps=3,
        generators=[generator()] * len(BATCH),
        on_step=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


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


def test_a_trunk_that_ran_before_is_not_run_again():
    model = Model(native(), native(6))
    trunks = run_trunk(model, BATCH, 2.0)
    options = {"steps": 3, "guidance": 2.0, "generators": [generator()] * len(BATCH)}
    shared = sample(model, PROCESS, BATCH, trunks=trunks, **options)
    assert len(model.trunks) == 2
    assert torch.equal(shared.coords, sample(model, PROCESS, BATCH, **options).coords)


WRONG = [
    {"eta": 1.5},
    {"eta": -0.1},
    {"copies": 0},
    {"steps": 0},
    {"temperature": 0.0},
    {"temperature": math.nan},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_requests_out_of_range_are_refused(wrong):
    with pytest.raises(RequestError):
        sample(Model(), PROCESS, BATCH, generators=[generator()] * len(BATCH), **wrong)
