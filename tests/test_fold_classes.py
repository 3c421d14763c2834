"""Scores by class of fold."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.fold_classes import CLASSES, by_class, fold_classes
from minifold_core.evaluation.judge import judge


def test_proteins_whose_fold_is_known() -> None:
    """HIV protease is all β, the DNA-binding domain of the lac repressor all α."""
    chains = {chain.name: chain for chain in open_dataset()}
    chosen = [chains["1hpv.A"], chains["1lcd.A"]]
    assert [CLASSES[k] for k in fold_classes(collate(chosen))] == ["mainly β", "mainly α"]


def test_classes_part_the_chains_and_their_means() -> None:
    batch = collate(list(open_dataset()))
    n = len(batch.names)
    model = {"tm": torch.rand(n), "strand_recall": torch.full((n,), math.nan)}
    rows = by_class(batch, model, {"tm": torch.zeros(n)})
    assert sum(row.n for row in rows) == n
    assert all(row.n for row in rows)
    whole = sum(row.n * row.model["tm"] for row in rows) / n
    assert whole == pytest.approx(float(model["tm"].mean()))
    assert all(math.isnan(row.model["strand_recall"]) and not row.floor["tm"] for row in rows)


def test_a_judgement_holds_the_best_floor_by_class() -> None:
    chains = list(open_dataset().subset("validation"))
    exact = {chain.name: torch.from_numpy(chain.ca) for chain in chains}
    judged = judge(exact, chains, open_dataset().subset("train"))
    assert sum(row.n for row in judged.classes) == len(chains)
    for row in judged.classes:
        assert row.model["tm"] == pytest.approx(1, abs=1e-4)
        assert row.floor["tm"] < 0.4
    of = {row["class"]: row for row in judged.to_dict()["classes"]}
    assert of["mainly β"]["model"]["strand_recall"] == 1
