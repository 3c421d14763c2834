"""Stage 1: contacts and CATH labels, their losses and figures, and the run that trains them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from minifold_contact.cath import CathAccuracy, CathHead, CathLoss
from minifold_contact.config import (
    CathAccuracyConfig,
    CathArchitectureConfig,
    CathClassConfig,
    CathHeadConfig,
    ContactLossConfig,
    ContactMapConfig,
)
from minifold_contact.contacts import ContactLoss, ContactMap
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.cath import ARCHITECTURES, NAMES, UNKNOWN, label
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.packwriter import write_pack
from minifold_core.evaluation.contacts import CONTACT, precision_of_top

Minifold = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def batch() -> ProteinBatch:
    return collate(sorted(open_dataset(), key=len)[:3])


def reference_map(truth: Truth, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Contacts of one chain, and the pairs at least three apart along it, by scipy."""
    trace = (truth.ca[row] * truth.scale[row]).double().numpy()
    known, index = truth.mask[row].numpy(), truth.residue_index[row].numpy()
    apart = abs(index[:, None] - index[None]) >= 3
    return cdist(trace, trace) < CONTACT, apart & known[:, None] & known[None]


def test_the_contact_loss_is_the_balanced_cross_entropy(batch: ProteinBatch) -> None:
    truth = Truth.of(batch)
    length = truth.mask.shape[1]
    p = torch.rand(3, length, length, generator=torch.Generator().manual_seed(0))
    p = (p + p.transpose(1, 2)) / 2
    loss = ContactLoss(ContactLossConfig())({"contacts": p}, truth)
    for row in range(3):
        contact, pairs = reference_map(truth, row)
        chance = p[row].double().numpy()
        hit, miss = chance[pairs & contact], 1 - chance[pairs & ~contact]
        expected = -(np.log(hit).mean() + np.log(miss).mean()) / 2
        assert float(loss[row]) == pytest.approx(expected, rel=1e-5)
    half = torch.full_like(p, 0.5)
    silent = ContactLoss(ContactLossConfig())({"contacts": half}, truth)
    torch.testing.assert_close(silent, torch.full((3,), math.log(2)))


def test_certainty_on_the_wrong_side_costs_much_and_stays_finite(batch: ProteinBatch) -> None:
    truth = Truth.of(batch)
    length = truth.mask.shape[1]
    for wrong in (0.0, 1.0):
        p = torch.full((3, length, length), wrong, requires_grad=True)
        loss = ContactLoss(ContactLossConfig())({"contacts": p}, truth)
        loss.sum().backward()
        assert loss.isfinite().all()
        assert (loss > 5).all()
        assert p.grad is not None
        assert p.grad.isfinite().all()


def test_precision_of_the_top_is_the_mean_over_all_orders_of_ties() -> None:
    generator = torch.Generator().manual_seed(4)
    scores = torch.randint(0, 3, (5, 5), generator=generator).double()
    contact = torch.rand(5, 5, generator=generator) < 0.4
    among = torch.ones(5, 5, dtype=torch.bool)
    pairs = [(float(scores[i, j]), bool(contact[i, j])) for i in range(5) for j in range(i + 1, 5)]
    pairs = pairs[:8]  # keep the permutations few
    for i, j in [(3, 4), (2, 4)]:
        among[i, j] = among[j, i] = False
    for count in (1, 3, 5):
        shares = [
            sum(hit for _, hit in sorted(order, key=lambda pair: -pair[0])[:count]) / count
            for order in itertools.permutations(pairs)
        ]
        expected = sum(shares) / len(shares)
        assert precision_of_top(scores, contact, among, count) == pytest.approx(expected)
    assert math.isnan(precision_of_top(scores, contact, ~among & False, 3))


def test_the_map_is_perfect_for_the_truth_and_the_floor_knows_only_separations(
    batch: ProteinBatch,
) -> None:
    truth = Truth.of(batch)
    maps = [reference_map(truth, row)[0] for row in range(3)]
    known = truth.mask[:, :, None] & truth.mask[:, None]
    contacts = torch.from_numpy(np.stack(maps)).float() * known
    figures = ContactMap(ContactMapConfig())({"contacts": contacts}, truth)
    assert figures["contact_recall"].eq(1).all()
    assert figures["contact_precision"].eq(1).all()
    index = truth.residue_index
    for row, least in itertools.product(range(3), (6, 12, 24)):
        apart = (index[row, :, None] - index[row]).abs()
        pairs = known[row].triu(1) & (apart >= least)
        size = int(truth.mask[row].sum())
        true_pairs, all_pairs = int((contacts[row] * pairs).sum()), int(pairs.sum())
        if all_pairs:
            expected = min(true_pairs, size, all_pairs) / min(size, all_pairs)
            assert float(figures[f"precision_L_{least}"][row]) == pytest.approx(expected)
        else:
            assert figures[f"precision_L_{least}"][row].isnan()
    blind = ContactMap(ContactMapConfig())({"contacts": torch.rand_like(contacts)}, truth)
    for name in figures:
        if name.startswith("floor_"):
            torch.testing.assert_close(blind[name], figures[name], equal_nan=True)


def test_labels_are_those_of_cath() -> None:
    assert label(["3.40.50", "3.40.30"], "class") == 2
    assert NAMES["architecture"][label(["3.40.50", "3.40.30"], "architecture")] == "3.40"
    assert label(["3.40.50", "3.30.70"], "class") == 2
    assert label(["3.40.50", "3.30.70"], "architecture") == UNKNOWN
    assert label([], "class") == UNKNOWN
    assert label(["6.10.20"], "class") == UNKNOWN
    assert len(ARCHITECTURES) == 38


def test_the_pool_is_a_mean_by_attention_and_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    head = CathHead(CathHeadConfig(), {"single": 8}).double()
    single = torch.randn(2, 5, 8, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    scores = single[1, :3] @ head.query.weight[0]
    expected = (scores.exp()[:, None] * single[1, :3]).sum(0) / scores.exp().sum()
    torch.testing.assert_close(head.pool(single, mask)[1], expected)
    nobody = head.pool(single, torch.zeros_like(mask))
    assert nobody.eq(0).all()


def test_only_labelled_chains_count() -> None:
    known = torch.zeros(2, 1, 4, dtype=torch.bool)
    index = torch.zeros(2, 1, dtype=torch.long)
    cath = torch.tensor([[2, 27], [UNKNOWN, UNKNOWN]])
    truth = Truth(torch.zeros(2, 1, 4, 3), known, index, torch.ones(2), cath)
    logits = {"class_logits": torch.randn(2, 4), "architecture_logits": torch.randn(2, 38)}
    logits["class_logits"][0] = torch.tensor([0.0, 1.0, 3.0, 2.0])
    for config, level, number in (
        (CathClassConfig(), "class", 2),
        (CathArchitectureConfig(), "architecture", 27),
    ):
        loss = CathLoss(config)(logits, truth)
        p = logits[f"{level}_logits"][0].double().numpy()
        expected = math.log(np.exp(p).sum()) - p[number]
        assert loss.tolist() == pytest.approx([expected, 0.0], rel=1e-5)
    right = CathAccuracy(CathAccuracyConfig())(logits, truth)["class_accuracy"].tolist()
    assert right[0] == 1
    assert math.isnan(right[1])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo chains with labels that are made up."""
    path = tmp_path_factory.mktemp("labelled") / "labelled.safetensors"
    codes = ("1.10.8", "2.40.50", "3.30.70")
    chains = [replace(c, cath=(codes[i % 3],)) for i, c in enumerate(open_dataset())]
    write_pack(path, chains, rejected=[], summary={})
    return path


def test_contact_trains_with_labels_and_without(
    minifold: Minifold, tmp_path: Path, labelled: Path
) -> None:
    runs = {}
    for name, data in (("with", str(labelled)), ("without", "demo")):
        run = tmp_path / name
        done = minifold(
            "train", "contact", "--size", "nano", "--max-steps", "3",
            "--data", data, "--run-dir", str(run),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert ("cath_class, cath_architecture off" in done.stderr) == (name == "without")
        header, row = (run / "metrics.csv").read_text().splitlines()[:2]
        runs[name] = dict(zip(header.split(","), row.split(","), strict=True))
        judged = minifold("evaluate", str(run), "--data", data, "--json")
        assert judged.returncode == 0, judged.stderr
        figures = {row["name"]: row for row in json.loads(judged.stdout)["figures"]}
        recall = float(runs[name]["val/contact_recall"])
        assert figures["contact_recall"]["mean"] == pytest.approx(recall, 1e-4)
        assert figures["precision_L_24"]["floor"] == pytest.approx(
            float(runs[name]["val/floor_precision_L_24"]), rel=1e-4
        )
    assert {"val/class_accuracy", "val/cath_class", "train/cath_class"} <= runs["with"].keys()
    assert not {"val/class_accuracy", "val/cath_class"} & runs["without"].keys()
    refused = minifold(
        "sample", str(tmp_path / "with"), "--length", "9", "--out", str(tmp_path / "s")
    )
    assert refused.returncode == 2
    assert "'contact' has no denoiser" in refused.stderr
