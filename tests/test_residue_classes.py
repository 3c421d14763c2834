"""Hidden residues and secondary structure: heads, losses, figures, and what training hides."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.figures import judge_figures
from minifold_core.residues import FIRST_AMINO_ACID, MASK, PAD
from minifold_core.training.objective import Objective
from minifold_losses.config import ResidueAccuracyConfig, SecondaryAccuracyConfig
from minifold_losses.residues import (
    ResidueAccuracy,
    SecondaryAccuracy,
    elements,
)
from training_helpers import batch_of, trainer

PRETRAINING = {
    "heads.residues.component": "residues",
    "heads.secondary.component": "secondary",
    "losses.masked_residues.weight": 1.0,
    "losses.secondary.weight": 1.0,
    "metrics.residues.component": "residue_accuracy",
    "metrics.secondary.component": "secondary_accuracy",
    "training.masked_residues": 0.15,
}


def own(*names: str) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(sum(map(ord, name))) for name in names]


def hidden(share: float, batch: ProteinBatch) -> ProteinBatch:
    model = assemble("contact", "nano", values=PRETRAINING | {"training.masked_residues": share})
    return Objective.of(model.recipe).masked(batch, own(*batch.names))


def test_hiding_takes_its_share_and_keeps_the_native_residues(demo_batch: ProteinBatch) -> None:
    assert hidden(0.0, demo_batch) is demo_batch
    some, every = hidden(0.3, demo_batch), hidden(1.0, demo_batch)
    chosen = some.tokens.eq(MASK)
    share = chosen.sum() / demo_batch.mask.sum()
    assert 0.15 < share < 0.45
    assert torch.equal(some.tokens[~chosen], demo_batch.tokens[~chosen])
    assert torch.equal(some.native_tokens, demo_batch.tokens)
    assert torch.equal(every.tokens.eq(MASK), demo_batch.mask)
    assert torch.equal(some.tokens.eq(PAD), demo_batch.tokens.eq(PAD))


def test_what_is_hidden_depends_on_no_batch_mate(demo_batch: ProteinBatch) -> None:
    together = hidden(0.3, demo_batch).tokens
    model = assemble("contact", "nano", values=PRETRAINING | {"training.masked_residues": 0.3})
    objective = Objective.of(model.recipe)
    for i, name in enumerate(demo_batch.names):
        length = int(demo_batch.mask[i].sum())
        alone = ProteinBatch(
            demo_batch.tokens[i : i + 1, :length],
            demo_batch.residue_index[i : i + 1, :length],
            demo_batch.backbone[i : i + 1, :length],
            demo_batch.backbone_mask[i : i + 1, :length],
            (name,),
        )
        assert torch.equal(objective.masked(alone, own(name)).tokens[0], together[i, :length])


def test_training_hides_other_residues_in_every_step() -> None:
    made = trainer(training__masked_residues=0.5, training__unconditional=0.0)
    seen = []
    made.model.encoder.register_forward_pre_hook(
        lambda module, args, ports: seen.append(ports["tokens"]), with_kwargs=True
    )
    batch = batch_of(made, [0, 4])
    for step in (0, 1, 0):
        made.stepper.step = step
        made.stepper.take([batch], 2, 1, 1e-3)
    first, second, again = (tokens.eq(MASK) for tokens in seen)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert 0.3 < first.sum() / batch.mask.sum() < 0.7


def test_figures_stand_beside_the_most_frequent_class(demo_batch: ProteinBatch) -> None:
    truth = Truth.of(demo_batch)
    native = elements(truth)
    tokens = hidden(0.5, demo_batch).tokens
    chosen = tokens.eq(MASK)
    residues = (demo_batch.tokens - FIRST_AMINO_ACID).clamp(min=0)
    wrong = demo_batch.mask & (torch.arange(demo_batch.mask.shape[1]) % 2 == 0)
    answers = torch.where(wrong, (residues + 1) % 20, residues)
    logits = torch.nn.functional.one_hot(answers, 20).float()
    seen = {"residue_logits": logits, "tokens": tokens}
    figures = ResidueAccuracy(ResidueAccuracyConfig())(seen, truth)
    for i in range(len(demo_batch)):
        of = chosen[i]
        assert figures["residue_accuracy"][i] == pytest.approx((~wrong[i])[of].double().mean())
        leucine = residues[i][of] == 9
        assert figures["floor_residue_accuracy"][i] == pytest.approx(leucine.double().mean())
    unseen = ResidueAccuracy(ResidueAccuracyConfig())(seen | {"tokens": demo_batch.tokens}, truth)
    assert all(x.isnan().all() for x in unseen.values())
    right = torch.nn.functional.one_hot(native.clamp(min=0), 3).float()
    scored = SecondaryAccuracy(SecondaryAccuracyConfig())({"secondary_logits": right}, truth)
    assert (scored["secondary_accuracy"] == 1).all()
    coil = [(row[row >= 0] == 0).double().mean().item() for row in native]
    assert scored["floor_secondary_accuracy"].tolist() == pytest.approx(coil)


def test_a_trunk_is_judged_with_residues_hidden() -> None:
    figures = judge_figures(assemble("v15-pre", "nano"), list(open_dataset().subset("validation")))
    assert {row.name: row.n for row in figures.rows} == {
        "residue_accuracy": 5,
        "secondary_accuracy": 5,
    }
    assert all(row.gain is not None and row.gain.interval is not None for row in figures.rows)
    assert "Intervals over 5 chains cover less than 95 %." in figures.verdict


def test_an_encoder_learns_both_beside_its_contacts(demo_batch: ProteinBatch) -> None:
    torch.manual_seed(0)
    model = assemble("contact", "nano", values=PRETRAINING).train()
    assert model.wiring.idle == ()
    assert model.wiring.unused == {}
    objective = Objective.of(model.recipe)
    batch = objective.masked(demo_batch, own(*demo_batch.names))

    def terms() -> dict[str, torch.Tensor]:
        return objective.terms(objective.predict(model, batch, None), batch)

    before = {name: x.mean().item() for name, x in terms().items()}
    assert before["masked_residues"] == pytest.approx(math.log(20), abs=0.5)
    assert before["secondary"] == pytest.approx(math.log(3), abs=0.4)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        made = terms()
        (made["masked_residues"] + made["secondary"]).sum().backward()
        optimizer.step()
    after = {name: x.mean().item() for name, x in terms().items()}
    for name in ("masked_residues", "secondary"):
        assert after[name] < 0.7 * before[name], name
