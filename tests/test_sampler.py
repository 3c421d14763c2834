"""The sampler: with an oracle for a network, and the number of passes it asks of the trunk."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_core.diffusion.sampler import run_trunk, sample
from minifold_core.errors import RequestError
from sampler_models import BATCH, PROCESS, DriftModel, Model, generator, native


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
