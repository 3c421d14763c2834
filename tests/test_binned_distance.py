"""v10's distance head with 96 classes, and its cross-entropy."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import log_softmax
from torch import Tensor
from torch.testing import assert_close

from minifold_core.assembly import assemble, wire
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.errors import RequestError
from minifold_core.recipe import load_recipe
from minifold_core.training.objective import Objective
from minifold_heads.config import BinnedDistanceHeadConfig
from minifold_heads.distance import BinnedDistanceHead
from minifold_losses.config import DistogramConfig
from minifold_losses.heads import DistogramLoss

BINS = 96
WIDTH = 38 / BINS
ENDS = 2.0 + WIDTH * np.arange(1, BINS)
LENGTHS = (9, 6, 1)
SCALES = (10.0, 13.7, 8.0)


def head() -> BinnedDistanceHead:
    torch.manual_seed(0)
    return BinnedDistanceHead(BinnedDistanceHeadConfig(), {"pair": 10})


def draw(dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], Truth]:
    """Random chains from 0 to some 60 Å across, in units of different sizes, one with a hole."""
    generator = torch.Generator().manual_seed(0)
    b, length = len(LENGTHS), max(LENGTHS)
    known = torch.arange(length) < torch.tensor(LENGTHS)[:, None]
    known[0, 4] = False
    backbone = torch.randn(b, length, 4, 3, generator=generator, dtype=torch.float64)
    truth = Truth(
        (backbone * known[..., None, None]).to(dtype),
        known[..., None].expand(-1, -1, 4),
        torch.arange(length).repeat(b, 1),
        torch.tensor(SCALES, dtype=dtype),
    )
    logits = 3 * torch.randn(b, length, length, BINS, generator=generator, dtype=torch.float64)
    edges = torch.tensor(ENDS, dtype=torch.float64).expand(b, -1)
    return {"distogram_logits": logits.to(dtype), "distogram_edges": edges.to(dtype)}, truth


def loss(prediction: dict[str, Tensor], truth: Truth) -> Tensor:
    return DistogramLoss(DistogramConfig())(prediction, truth)


def reference(logits: Tensor, truth: Truth, row: int) -> float:
    """By the definition, with scipy's softmax and numpy's histogram bins."""
    places = np.flatnonzero(truth.mask[row].numpy())
    ca = truth.ca[row].numpy()[places] * SCALES[row]
    bins = np.clip(np.floor((cdist(ca, ca) - 2.0) / WIDTH), 0, BINS - 1).astype(int)
    chances = log_softmax(logits[row].numpy()[np.ix_(places, places)], axis=-1)
    terms = [
        -chances[i, j, bins[i, j]] for i in range(len(places)) for j in range(len(places)) if i != j
    ]
    return float(np.mean(terms)) if terms else 0.0


def test_loss_equals_the_reference_in_angstrom_and_without_the_diagonal() -> None:
    prediction, truth = draw()
    want = [reference(prediction["distogram_logits"], truth, row) for row in range(len(LENGTHS))]
    assert_close(loss(prediction, truth), torch.tensor(want, dtype=torch.float64))
    assert min(want[:2]) > 4
    assert want[2] == 0


def test_loss_at_the_right_and_at_the_neighbouring_bin() -> None:
    _, truth = draw()
    distances = torch.cdist(truth.ca, truth.ca) * truth.scale[:, None, None]
    right = torch.bucketize(distances, torch.tensor(ENDS))
    edges = torch.tensor(ENDS).expand(len(LENGTHS), -1)
    for shift, low, high in ((0, 0.0, 1e-9), (1, 99.0, 101.0)):
        classes = torch.nn.functional.one_hot((right + shift) % BINS, BINS)
        prediction = {"distogram_logits": 100.0 * classes.double(), "distogram_edges": edges}
        values = loss(prediction, truth)[:2]
        assert (values >= low).all()
        assert (values <= high).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_loss_has_finite_gradients_on_known_pairs_only(dtype: torch.dtype) -> None:
    prediction, truth = draw(torch.float32)
    logits = prediction["distogram_logits"].to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        values = loss(prediction | {"distogram_logits": logits}, truth)
    assert values.dtype == torch.float32
    values.sum().backward()
    pairs = truth.mask[:, :, None] & truth.mask[:, None] & ~torch.eye(max(LENGTHS)).bool()
    assert logits.grad.isfinite().all()
    assert torch.equal(logits.grad.abs().sum(-1) > 0, pairs)


def test_head_gives_symmetric_logits_in_full_precision_and_stops_gradients() -> None:
    pair = torch.randn(2, 7, 7, 10, requires_grad=True)
    made = head()
    with torch.autocast("cpu", torch.bfloat16):
        given = made(pair=pair)
    logits, edges = given["distogram_logits"], given["distogram_edges"]
    assert logits.dtype == torch.float32
    assert logits.shape == (2, 7, 7, BINS)
    assert torch.equal(logits, logits.transpose(1, 2))
    assert_close(edges.double(), torch.tensor(ENDS).expand(2, -1))
    logits.pow(2).sum().backward()
    assert pair.grad is None
    assert all(weight.grad.abs().sum() > 0 for weight in made.parameters())


def test_the_head_may_let_its_gradients_through() -> None:
    pair = torch.randn(1, 5, 5, 10, requires_grad=True)
    attached = BinnedDistanceHead(BinnedDistanceHeadConfig(detached=False), {"pair": 10})
    attached.load_state_dict(head().state_dict())
    logits = attached(pair=pair)["distogram_logits"]
    assert torch.equal(logits, head()(pair=pair)["distogram_logits"])
    logits.pow(2).sum().backward()
    assert pair.grad.abs().sum() > 0


@pytest.mark.parametrize("size", ["full", "nano"])
def test_v10_trains_the_pair_stack_by_its_other_losses_alone(
    size: str, demo_batch: ProteinBatch
) -> None:
    torch.manual_seed(0)
    model = assemble("v10", size).train()
    assert model.wiring.idle == ()
    assert model.wiring.unused == {}
    with torch.no_grad():  # residual branches start at zero and would hide what is behind them
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    objective = Objective.of(model.recipe)
    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    features = objective.predict(model, demo_batch, objective.noised(demo_batch, generators))
    terms = objective.terms(features, demo_batch)
    own = terms.pop("aux_distogram").sum()
    assert own.item() / 2 == pytest.approx(np.log(BINS), abs=1.5)
    own.backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None}
    layers = ("norm", "scores")
    assert reached == {f"heads.distance.{x}.{y}" for x in layers for y in ("weight", "bias")}
    objective.total(terms, 1).sum().backward()
    assert all(p.grad is not None for p in model.part("pair_stack").parameters())


def test_v10_has_its_published_size_and_v11_another_head() -> None:
    counts = assemble("v10").parameter_counts()
    assert sum(total for total, _ in counts.values()) == pytest.approx(14.6e6, rel=0.03)
    for version in ("v11", "v13"):
        recipe = load_recipe(version)
        assert recipe.slots["heads.distance"].spec.name == "ordinal_distance"
        assert "aux_distogram" not in recipe.active_losses


@pytest.mark.parametrize(
    ("version", "term", "said"),
    [
        (
            "v13",
            "aux_distogram",
            "Use --with heads.binned_distance=binned_distance, or --set losses.",
        ),
        (
            "v10",
            "aux_dist",
            "'ordinal_distance' gives it where there is port 'aux_pair'. Use --set",
        ),
    ],
)
def test_no_loss_takes_the_other_heads_logits(version: str, term: str, said: str) -> None:
    with pytest.raises(RequestError) as refused:
        wire(load_recipe(version, values={f"losses.{term}.weight": 1.0}))
    assert said in str(refused.value)


def test_both_heads_side_by_side() -> None:
    values = {"heads.classes.component": "binned_distance", "losses.aux_distogram.weight": 0.03}
    wiring = wire(load_recipe("v13", values=values))
    assert wiring.idle == ()
    assert wiring.unused == {}


def test_training_v10_logs_the_term(minifold: Callable[..., object], tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = minifold(
        "train", "v10", "--size", "nano", "--max-steps", 3, "--device", "cpu", "--run-dir", run
    )
    assert result.returncode == 0, result.stderr
    assert "is not trained" not in result.stderr
    assert "nothing reads" not in result.stderr
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["train/aux_distogram"]) == pytest.approx(np.log(BINS), abs=1.0)
