"""Losses that weigh by the noise level, and the alignment of the one that does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from minifold_core.assembly import assemble, wire
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.comparison.common import measurable
from minifold_core.components import ComponentSpec
from minifold_core.discovery import find_components
from minifold_core.errors import RequestError
from minifold_core.recipe import load_recipe
from minifold_core.testing import cases
from minifold_core.training.objective import Objective
from minifold_losses.aligned import AlignedMSELoss
from minifold_losses.config import AlignedMSEConfig

WEIGHTED = {"losses.aligned_mse.weight": 1.0, "losses.aligned_mse.noise_weight": "edm"}


def spec() -> ComponentSpec:
    return find_components().items["loss/aligned_mse"].spec


def truth_of(ca: Tensor, scale: float = 10.0) -> Truth:
    """Whole chains [B, L, 3], in model units."""
    known = torch.ones(*ca.shape[:2], 4, dtype=torch.bool)
    index = torch.arange(ca.shape[1]).expand(ca.shape[:2])
    backbone = ca[:, :, None].expand(-1, -1, 4, -1)
    return Truth(backbone, known, index, torch.full((len(ca),), scale, dtype=ca.dtype))


def points(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 3, generator=generator, dtype=torch.float64)


def value(prediction: dict[str, Tensor], truth: Truth, **settings: object) -> Tensor:
    return AlignedMSELoss(AlignedMSEConfig(**settings))(prediction, truth)


@pytest.mark.parametrize("scale", [10.0, 13.0])
def test_the_weights_are_those_of_edm(scale: float) -> None:
    x, truth = points(0, 6, 9), truth_of(points(1, 6, 9), scale)
    plain = value({"coords": x}, truth)
    sigma = torch.tensor([1e4, 30.0, 8.4, 5.0, 0.1, 0.0], dtype=torch.float64)
    snr = (scale / sigma).square()
    assert snr[-1].isinf()
    edm = (sigma**2 + 8.4**2) / (sigma * 8.4) ** 2 * 8.4**2
    given = {"coords": x, "snr": snr}
    torch.testing.assert_close(
        value(given, truth, noise_weight="edm") / plain, edm.clamp(max=5.0), atol=1e-6, rtol=1e-6
    )
    torch.testing.assert_close(
        value(given, truth, noise_weight="snr", noise_weight_limit=50.0) / plain,
        (edm - 1).where(sigma > 0, torch.inf).clamp(max=50.0),
    )
    nothing = value(given | {"snr": torch.zeros(6)}, truth, noise_weight="edm")
    torch.testing.assert_close(nothing, plain)
    assert torch.equal(value(given, truth), plain)


@pytest.mark.parametrize("weight", ["edm", "snr"])
def test_a_weighted_loss_conforms(weight: str) -> None:
    config = AlignedMSEConfig(noise_weight=weight)
    for case in cases(spec(), [config]):
        case.run()


def test_the_objective_hands_the_noise_level_to_losses_that_ask(demo_batch: ProteinBatch) -> None:
    terms = {}
    for name, values in (("plain", {"losses.aligned_mse.weight": 1.0}), ("edm", WEIGHTED)):
        torch.manual_seed(0)
        model = assemble("v13", "nano", values=values).eval()
        assert "aligned_mse" in measurable(model.recipe)
        objective = Objective.of(model.recipe)
        own = [torch.Generator().manual_seed(i) for i in range(len(demo_batch))]
        noised = objective.noised(demo_batch, own)
        features = objective.predict(model, demo_batch, noised)
        terms[name] = objective.terms(features, demo_batch)
    expected = (1 + 0.84**2 * objective.process.snr(noised.t)).clamp(max=5.0)
    torch.testing.assert_close(
        terms["edm"]["aligned_mse"], terms["plain"]["aligned_mse"] * expected
    )
    for name in terms["plain"].keys() - {"aligned_mse"}:
        assert torch.equal(terms["edm"][name], terms["plain"][name]), name


def test_a_recipe_without_a_process_has_no_noise_level_to_weigh_by() -> None:
    with pytest.raises(RequestError) as refused:
        wire(load_recipe("contact", values=WEIGHTED))
    assert "port 'snr', the noise level, and 'contact' has no process" in str(refused.value)
    assert "noise_weight to 'none'" in str(refused.value)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_collinear_coincident_and_few_points_are_finite_both_ways(count: int) -> None:
    line = torch.arange(count, dtype=torch.float32)[None, :, None] * torch.tensor([0.38, 0, 0])
    spots = torch.zeros(1, count, 3)
    cloud = points(2, 1, count).float()
    for native in (line, spots, cloud):
        for guess in (line.flip(-1), line.flip(1), spots, cloud.flip(0), native):
            x = guess.clone().requires_grad_()
            loss = value({"coords": x}, truth_of(native))
            loss.sum().backward()
            assert loss.isfinite().all()
            assert x.grad.isfinite().all()
            if guess is native:
                assert loss.item() == pytest.approx(0, abs=1e-8)


def test_what_is_not_finite_stays_with_its_protein() -> None:
    x, truth = points(3, 3, 8), truth_of(points(4, 3, 8))
    alone = value({"coords": x}, truth)
    x[1, 2, 0], x[2, 0] = float("nan"), float("inf")
    seen = value({"coords": x}, truth)
    assert torch.equal(seen[0], alone[0])
    assert not seen[1:].isfinite().any()
