"""Frames and rotations against their definitions and against scipy."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.testing import assert_close

from minifold_core.geometry.frames import (
    ca_frame_mask,
    ca_rotations,
    gram_schmidt,
    pairwise_distances,
    quaternion_to_rotation,
    rotation_to_quaternion,
    safe_norm,
    slerp_from_identity,
)

EYE = torch.eye(3, dtype=torch.float64)


def random_rotations(count: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(Rotation.random(count, random_state=seed).as_matrix())


def about(axis: list[float], angles: list[float]) -> Tensor:
    unit = torch.tensor(axis, dtype=torch.float64)
    unit = unit / unit.norm()
    vectors = torch.tensor(angles, dtype=torch.float64)[:, None] * unit
    return torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix())


def assert_proper(rotations: Tensor, atol: float = 1e-6) -> None:
    eye = torch.eye(3, dtype=rotations.dtype).expand_as(rotations)
    assert_close(rotations.transpose(-1, -2) @ rotations, eye, atol=atol, rtol=0)
    assert_close(torch.linalg.det(rotations), eye[..., 0, 0], atol=atol, rtol=0)


def trace(length: int, batch: int = 1, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(length)
    steps = torch.randn(batch, length, 3, generator=generator, dtype=dtype)
    return (0.38 * steps / steps.norm(dim=-1, keepdim=True)).cumsum(1)


def known(*rows: str) -> Tensor:
    return torch.tensor([[letter == "x" for letter in row] for row in rows])


def test_gram_schmidt_axes_follow_their_definition() -> None:
    origin, on_axis, in_plane = torch.randn(3, 50, 3, dtype=torch.float64)
    rotations = gram_schmidt(origin, on_axis, in_plane)
    assert_proper(rotations)
    first = (on_axis - origin) / (on_axis - origin).norm(dim=-1, keepdim=True)
    assert_close(rotations[..., 0], first)
    local = (rotations.transpose(-1, -2) @ (in_plane - origin)[..., None]).squeeze(-1)
    assert (local[:, 1] > 0).all()
    assert_close(local[:, 2], torch.zeros(50, dtype=torch.float64), atol=1e-12, rtol=0)


DEGENERATE = {
    "coincident": [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    "first pair coincident": [[1, 2, 3], [1, 2, 3], [0, 0, 0]],
    "collinear": [[0, 0, 0], [1, 1, 1], [2, 2, 2]],
    "collinear on an axis": [[0, 0, 0], [1, 0, 0], [-1, 0, 0]],
    "all but collinear": [[0, 0, 0], [1, 0, 0], [1, 1e-7, 0]],
    "far away": [[0, 0, 0], [1e6, 0, 0], [0, 1e6, 1]],
}


@pytest.mark.parametrize("points", DEGENERATE.values(), ids=DEGENERATE.keys())
def test_gram_schmidt_of_degenerate_points_is_a_rotation_with_a_finite_gradient(
    points: list[list[float]],
) -> None:
    x = torch.tensor(points, dtype=torch.float32, requires_grad=True)
    rotation = gram_schmidt(*x)
    assert_proper(rotation, atol=1e-5)
    (rotation * torch.arange(9.0).view(3, 3)).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_traces_give_float32_frames(dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype=dtype):
        rotations = ca_rotations(trace(9).to(dtype), torch.ones(1, 9, dtype=torch.bool))
    assert rotations.dtype == torch.float32
    assert_proper(rotations, atol=1e-5)


def test_trace_frames_point_to_the_next_residue_and_ends_copy() -> None:
    ca = trace(8)
    rotations = ca_rotations(ca, torch.ones(1, 8, dtype=torch.bool))
    assert_proper(rotations)
    forward = ca[:, 2:] - ca[:, 1:-1]
    assert_close(rotations[:, 1:-1, :, 0], forward / forward.norm(dim=-1, keepdim=True))
    assert_close(rotations[:, 0], rotations[:, 1])
    assert_close(rotations[:, -1], rotations[:, -2])


def test_trace_frames_turn_with_the_trace() -> None:
    ca, mask = trace(12, batch=3), known("x" * 12, "xxxx.xxxxxxx", "x" * 9 + "...")
    turn = random_rotations(1)[0]
    moved = ca_rotations(ca @ turn.T + 5, mask)
    framed = ca_frame_mask(mask)
    assert_close(moved[framed], turn @ ca_rotations(ca, mask)[framed])


def test_masked_residues_break_the_trace() -> None:
    mask = known("xxxx.xx.xxx..")
    framed = known("xxxx....xxx..")
    ca = trace(13)
    rotations = ca_rotations(ca, mask)
    assert torch.equal(ca_frame_mask(mask), framed)
    assert torch.equal(rotations[~framed], EYE.expand(6, 3, 3))
    assert_close(rotations[0, 3], rotations[0, 2])
    assert_close(rotations[0, 8], rotations[0, 9])
    elsewhere = torch.where(mask[..., None], ca, 99.0)
    assert torch.equal(ca_rotations(elsewhere, mask), rotations)


@pytest.mark.parametrize("length", [0, 1, 2])
def test_chains_too_short_for_a_frame_take_the_identity(length: int) -> None:
    mask = torch.ones(2, length, dtype=torch.bool)
    rotations = ca_rotations(torch.randn(2, length, 3, dtype=torch.float64), mask)
    assert torch.equal(rotations, EYE.expand(2, length, 3, 3))
    assert not ca_frame_mask(mask).any()


def test_quaternions_agree_with_scipy_and_return() -> None:
    rotations = random_rotations(500)
    ours = rotation_to_quaternion(rotations)
    theirs = torch.from_numpy(Rotation.from_matrix(rotations.numpy()).as_quat(canonical=True))
    assert_close(ours, theirs.roll(1, dims=-1))
    assert_close(quaternion_to_rotation(ours), rotations)


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 0.5], [1, 1, 1]])
def test_quaternions_of_half_turns_return(axis: list[float]) -> None:
    rotations = about(axis, [math.pi, math.pi - 1e-7, math.pi - 1e-3, 0.0])
    quaternions = rotation_to_quaternion(rotations)
    assert_close(quaternions.norm(dim=-1), torch.ones(4, dtype=torch.float64))
    assert_close(quaternion_to_rotation(quaternions), rotations, atol=1e-9, rtol=0)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_slerp_agrees_with_scipy(fraction: float) -> None:
    special = about([3, -1, 2], [0.0, 1e-6, 1e-3, 3.0, math.pi - 1e-3, math.pi - 1e-6])
    rotations = torch.cat([random_rotations(50, seed=1), special])
    ours = slerp_from_identity(rotations, torch.full((len(rotations),), fraction))
    vectors = Rotation.from_matrix(rotations.numpy()).as_rotvec()
    theirs = torch.from_numpy(Rotation.from_rotvec(fraction * vectors).as_matrix())
    assert_close(ours, theirs, atol=1e-7, rtol=0)


def test_slerp_all_the_way_is_the_rotation_itself() -> None:
    rotations = random_rotations(20)
    assert torch.equal(slerp_from_identity(rotations, torch.ones(20)), rotations)


def test_slerp_of_a_half_turn_stays_a_rotation_with_a_finite_gradient() -> None:
    rotations = torch.cat([about([0, 0, 1], [0.0, math.pi]), EYE[None]]).float()
    rotations.requires_grad_()
    part = slerp_from_identity(rotations, torch.full((3,), 0.5))
    assert_proper(part.detach(), atol=1e-6)
    part.sum().backward()
    assert rotations.grad is not None
    assert rotations.grad.isfinite().all()


def test_norms_and_distances_are_finite_at_zero() -> None:
    x = torch.zeros(2, 4, 3, requires_grad=True)
    (safe_norm(x).sum() + pairwise_distances(x).sum()).backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_distances_agree_with_cdist() -> None:
    x = trace(10, batch=2)
    apart = ~torch.eye(10, dtype=torch.bool).expand(2, -1, -1)
    assert_close(pairwise_distances(x)[apart], torch.cdist(x, x)[apart], atol=1e-6, rtol=0)
