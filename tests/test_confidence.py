"""The confidence head, its loss and its metric, against biotite's lDDT and closed forms."""

from __future__ import annotations

import math
from dataclasses import replace

import biotite.structure as struc
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from minifold_confidence.config import (
    ConfidenceHeadConfig,
    ConfidenceLossConfig,
    ConfidenceMetricConfig,
)
from minifold_confidence.head import ConfidenceHead
from minifold_confidence.measures import ConfidenceLoss, ConfidenceMetric
from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import RequestError
from minifold_core.testing import perturb
from minifold_core.training.objective import Objective
from weights_files import perturbed

LOSS, METRIC = ConfidenceLoss(ConfidenceLossConfig()), ConfidenceMetric(ConfidenceMetricConfig())
WIDTHS = {"single": 12, "pair": 6}


def head() -> ConfidenceHead:
    torch.manual_seed(0)
    config = ConfidenceHeadConfig(hidden=16, distance_bins=12)
    return perturb(ConfidenceHead(config, WIDTHS), scale=0.5)


def ports(batch: ProteinBatch, sampled: Tensor) -> dict[str, Tensor]:
    """What the head reads: random trunk features beside structures in units of 10 Å."""
    generator = torch.Generator().manual_seed(1)
    b, length = batch.mask.shape
    return {
        "single": torch.randn(b, length, 12, generator=generator),
        "pair": torch.randn(b, length, length, 6, generator=generator),
        "mask": batch.ca_mask,
        "sampled": sampled,
        "scale": torch.full((b,), 10.0),
    }


def noised(truth: Truth, seed: int = 0) -> Tensor:
    """[B, L, 3] native structures with noise that comes and goes along the chain."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.arange(truth.ca.shape[1]) / 8 + 6 * torch.rand((), generator=generator)
    size = 0.3 * places.sin().clamp(min=0)[:, None]
    return truth.ca + size * torch.randn(truth.ca.shape, generator=generator)


def biotite_lddt(sampled: Tensor, truth: Truth) -> list[np.ndarray]:
    """The lDDT of the known residues of each protein; NaN for one that has no neighbour."""
    found = []
    for x, y, known, scale in zip(sampled, truth.ca, truth.mask, truth.scale, strict=True):
        pair = []
        for ca in (y, x):
            atoms = struc.AtomArray(int(known.sum()))
            atoms.coord = (ca * scale)[known].numpy()
            atoms.res_id, atoms.atom_name[:] = np.arange(len(atoms)) + 1, "CA"
            pair.append(atoms)
        found.append(struc.lddt(*pair, aggregation="residue"))
    return found


def test_expected_lddt_is_the_mean_of_the_middles_of_its_classes(demo_batch: ProteinBatch) -> None:
    made, values = head(), ports(demo_batch, Truth.of(demo_batch).ca)
    mask, last = demo_batch.ca_mask, made.out[-1]
    uniform, two = torch.zeros(50), torch.full((50,), -torch.inf)
    two[[10, 49]] = torch.tensor([math.log(0.25), math.log(0.75)])
    with torch.no_grad():
        last.weight.zero_()
        for bias, wanted in ((uniform, 0.5), (two, 0.25 * 0.21 + 0.75 * 0.99)):
            last.bias.copy_(bias)
            given = made(**values)
            assert_close(given["plddt"][mask], torch.full((int(mask.sum()),), wanted))
            assert not given["plddt"][~mask].any()
            assert_close(given["lddt_logits"][mask], bias.expand(int(mask.sum()), 50))


def test_it_judges_structures_in_angstrom(demo_batch: ProteinBatch) -> None:
    made, truth = head(), Truth.of(demo_batch)
    values = ports(demo_batch, truth.ca)
    mask = demo_batch.ca_mask
    with torch.no_grad():
        before = made(**values)["plddt"]
        other = values | {"sampled": 5 * truth.ca, "scale": values["scale"] / 5}
        assert_close(made(**other)["plddt"], before, atol=1e-4, rtol=0)
        wider = made(**(values | {"sampled": 1.2 * truth.ca}))["plddt"]
    assert float((wider - before)[mask].abs().max()) > 2e-3


@pytest.mark.parametrize("by_size", [False, True])
def test_the_loss_is_the_cross_entropy_of_biotites_lddt(
    demo_batch: ProteinBatch, by_size: bool
) -> None:
    truth = Truth.of(demo_batch, by_size=by_size)
    sampled = noised(truth)
    logits = torch.randn(*truth.mask.shape, 50, generator=torch.Generator().manual_seed(2))
    found = LOSS({"lddt_logits": logits, "sampled": sampled}, truth)
    for row, scores in enumerate(biotite_lddt(sampled, truth)):
        there = np.isfinite(scores)
        assert len(np.unique((scores[there] * 50).astype(int))) > 8
        p = logits[row][truth.mask[row]].double().softmax(-1).numpy()[there]
        classes = np.minimum(np.floor(scores[there] * 50 + 1e-6), 49).astype(int)
        wanted = -np.log(p[np.arange(len(p)), classes]).mean()
        assert float(found[row]) == pytest.approx(wanted, abs=2e-3)


def test_a_perfect_structure_is_of_the_last_class(demo_batch: ProteinBatch) -> None:
    truth = Truth.of(demo_batch)
    sure = torch.full((*truth.mask.shape, 50), -20.0)
    sure[..., 49] = 20.0
    assert_close(LOSS({"lddt_logits": sure, "sampled": truth.ca}, truth), torch.zeros(2))
    even = torch.zeros_like(sure)
    wanted = torch.full((2,), math.log(50))
    assert_close(LOSS({"lddt_logits": even, "sampled": noised(truth)}, truth), wanted)


def test_residues_without_a_neighbour_are_not_judged(demo_batch: ProteinBatch) -> None:
    """Where the first residue is far from all others, neither it nor its logits count."""
    truth = Truth.of(demo_batch)
    backbone = truth.backbone.clone()
    backbone[:, 0] += 1000
    truth = replace(truth, backbone=backbone)
    sampled = noised(truth)
    logits = torch.randn(*truth.mask.shape, 50, generator=torch.Generator().manual_seed(2))
    plddt = torch.rand(truth.mask.shape, generator=torch.Generator().manual_seed(3))
    other, guess = logits.clone(), plddt.clone()
    other[:, 0], guess[:, 0] = 50 * torch.randn(50), 9.0
    one, two = (LOSS({"lddt_logits": x, "sampled": sampled}, truth) for x in (logits, other))
    assert_close(one, two)
    one, two = (METRIC({"plddt": x, "sampled": sampled}, truth) for x in (plddt, guess))
    assert_close(one, two)
    alone = replace(truth, backbone_mask=truth.backbone_mask & (torch.arange(len(backbone[0])) == 0)
                    [None, :, None])  # fmt: skip
    assert LOSS({"lddt_logits": logits, "sampled": sampled}, alone).tolist() == [0, 0]
    assert all(
        x.isnan().all() for x in METRIC({"plddt": plddt, "sampled": sampled}, alone).values()
    )


def test_the_metric_is_the_mean_error_beside_that_of_the_chains_mean(
    demo_batch: ProteinBatch,
) -> None:
    truth = Truth.of(demo_batch)
    sampled, guess = noised(truth), torch.rand(truth.mask.shape)
    found = METRIC({"plddt": guess, "sampled": sampled}, truth)
    right = torch.zeros(truth.mask.shape)
    for row, scores in enumerate(biotite_lddt(sampled, truth)):
        own = guess[row][truth.mask[row]].numpy()
        right[row][truth.mask[row]] = torch.from_numpy(scores).float()
        assert float(found["plddt_error"][row]) == pytest.approx(abs(own - scores).mean(), abs=1e-4)
        floor = abs(scores.mean() - scores).mean()
        assert float(found["floor_plddt_error"][row]) == pytest.approx(floor, abs=1e-4)
    perfect = METRIC({"plddt": right, "sampled": sampled}, truth)["plddt_error"]
    assert_close(perfect, torch.zeros(2), atol=1e-5, rtol=0)


def test_to_be_sure_is_no_reason_to_fold_otherwise(demo_batch: ProteinBatch) -> None:
    """The loss of confidence trains its head alone: not the trunk, nor the structure it judges."""
    small = {"encoder.tower_layers": 1, "pair_stack.blocks": 1, "denoiser.layers": 1}
    model = perturbed("v15", **small)
    objective, generators = Objective.of(model.recipe), [torch.Generator().manual_seed(0)] * 2
    trunk = model.trunk(demo_batch, complete=True)
    sampled = objective.rollout(model, demo_batch, trunk, generators).requires_grad_()
    noise = objective.noised(demo_batch, generators)
    features = objective.predict(model, demo_batch, noise, trunk=trunk, sampled=sampled)
    objective.terms(features, demo_batch)["confidence"].sum().backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    own = {name for name, _ in model.named_parameters() if name.startswith("heads.confidence.")}
    assert reached == own
    assert sampled.grad is None
    # Most steps of a training sample nothing: then there is no such term.
    without = objective.predict(model, demo_batch, noise, trunk=trunk)
    assert "confidence" not in objective.terms(without, demo_batch)


@pytest.mark.slow
def test_it_learns_where_a_structure_is_right() -> None:
    """Beside a trunk that knows the native distances, of structures that it has not seen."""
    batch = collate([sorted(open_dataset(), key=len)[5]])
    truth = Truth.of(batch)
    torch.manual_seed(0)
    config = ConfidenceHeadConfig(hidden=32, distance_bins=12)
    made = ConfidenceHead(config, {"single": 12, "pair": 12})
    true = 10 * torch.cdist(truth.ca, truth.ca)
    pair = (-((true[..., None] - made.centres) / 2.5).square()).exp()

    def judged(seed: int) -> tuple[dict[str, Tensor], Tensor]:
        sampled = noised(truth, seed)
        return made(**(ports(batch, sampled) | {"pair": pair})), sampled

    optimizer = torch.optim.Adam(made.parameters(), lr=2e-2)
    for step in range(150):
        given, sampled = judged(step)
        loss = LOSS({"lddt_logits": given["lddt_logits"], "sampled": sampled}, truth).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    error = floor = 0.0
    with torch.no_grad():
        for seed in range(1000, 1005):
            given, sampled = judged(seed)
            found = METRIC({"plddt": given["plddt"], "sampled": sampled}, truth)
            error += float(found["plddt_error"])
            floor += float(found["floor_plddt_error"])
    assert error < 0.7 * floor


def test_a_loss_of_samples_needs_samples() -> None:
    with pytest.raises(RequestError, match=r"never samples in training. Use --set training.rollo"):
        assemble("v15", "nano", values={"training.rollouts": 0.0})
