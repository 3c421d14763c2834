import biotite.structure as struc
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minifold_core.geometry.superpose import optimal_rotation, superpose

EYE = torch.eye(3, dtype=torch.float64)


def points(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 10 * torch.randn(*shape, 3, generator=generator, dtype=torch.float64)


def random_rotation(seed: int) -> torch.Tensor:
    q, r = torch.linalg.qr(points(seed, 3))
    q = q * r.diagonal().sign()
    return q * torch.linalg.det(q)


def assert_proper(rotation: torch.Tensor) -> None:
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).to(rotation), atol=1e-6)
    assert (torch.linalg.det(rotation) > 0).all()


@given(st.integers(0, 10_000), st.integers(3, 30))
@settings(max_examples=30, deadline=None)
def test_a_rigid_motion_is_undone(seed: int, length: int) -> None:
    x, turn = points(seed, length), random_rotation(seed + 1)
    y = x @ turn.mT + torch.tensor([5.0, -70.0, 3.0])
    found = superpose(x, y)
    assert torch.allclose(found.rotation, turn, atol=1e-8)
    assert torch.allclose(found.apply(x), y, atol=1e-8)


def test_agrees_with_biotite_on_a_batch() -> None:
    x, y = points(0, 2, 5, 20), points(1, 2, 5, 20)
    moved = superpose(x, y).apply(x)
    for i in range(2):
        for j in range(5):
            theirs, _ = struc.superimpose(y[i, j].numpy(), x[i, j].numpy())
            np.testing.assert_allclose(moved[i, j].numpy(), theirs, atol=1e-3)


def test_a_mirror_image_is_never_accepted() -> None:
    x = points(2, 40)
    found = superpose(x * torch.tensor([1.0, 1.0, -1.0]), x)
    assert_proper(found.rotation)
    assert (found.apply(x * torch.tensor([1.0, 1.0, -1.0])) - x).norm(dim=-1).mean() > 3


def test_no_small_turn_improves_a_weighted_optimum() -> None:
    x, y = points(3, 15), points(4, 15)
    weights = torch.rand(15, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def cost(moved: torch.Tensor) -> torch.Tensor:
        return (weights * (moved - y).square().sum(-1)).sum()

    found = superpose(x, y, weights)
    best = cost(found.apply(x))
    for seed in range(20):
        skew = 1e-3 * points(seed, 3) / 10
        nudge = torch.linalg.matrix_exp(skew - skew.mT)
        assert cost(found._replace(rotation=nudge @ found.rotation).apply(x)) > best
        assert cost(found._replace(translation=found.translation + skew[0]).apply(x)) > best


def test_a_mask_leaves_points_out_whatever_they_are() -> None:
    x, y = points(6, 12), points(7, 12)
    mask = torch.arange(12) < 8
    expected = superpose(x[:8], y[:8])
    x[8:], y[10:] = float("nan"), float("inf")
    for ours, theirs in zip(superpose(x, y, mask), expected, strict=True):
        assert torch.allclose(ours, theirs)


@pytest.mark.parametrize("x", [
    torch.zeros(5, 3),
    torch.ones(1, 3),
    torch.tensor([[0.0, 0, 0], [3.8, 0, 0]]),
    torch.arange(6.0)[:, None].expand(6, 3),
])  # fmt: skip
def test_degenerate_points_give_a_finite_proper_motion(x: torch.Tensor) -> None:
    y = x.flip(-1) * torch.tensor([1.0, -1.0, 1.0]) + 2
    for mobile, target in ((x, y), (x, torch.zeros_like(x)), (torch.zeros_like(x), y)):
        found = superpose(mobile, target)
        assert_proper(found.rotation)
        assert found.translation.isfinite().all()
    found = superpose(x, y)
    assert torch.allclose(found.apply(x), y, atol=1e-5)


def test_zero_weights_give_the_identity() -> None:
    found = superpose(points(8, 4), points(9, 4), torch.zeros(4))
    assert torch.equal(found.rotation, EYE)
    assert torch.equal(found.translation, torch.zeros(3, dtype=torch.float64))


def test_float32_far_from_the_origin_keeps_its_precision() -> None:
    x = points(10, 50).float()
    y = (x.double() @ random_rotation(11).mT + 5000).float()
    found = superpose(x, y)
    assert found.rotation.dtype == torch.float32
    assert (found.apply(x) - y).abs().max() < 5e-3


def test_a_near_tie_is_as_good_as_a_singular_value_decomposition() -> None:
    covariance = points(12, 200, 3)
    covariance[:50, 2] = covariance[:50, 1] * (1 + 1e-9)
    gained = (optimal_rotation(covariance) @ covariance).diagonal(dim1=-2, dim2=-1).sum(-1)
    singular = torch.linalg.svdvals(covariance)
    singular[:, 2] *= torch.linalg.det(covariance).sign()
    assert torch.allclose(gained, singular.sum(-1), rtol=1e-10)
