"""The head before training, what reaches its backbone, and what it does not see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.discovery import version_package
from minifold_core.manifest import NAME, build_manifest, dump_manifest
from minifold_core.model import FoldModel
from minifold_core.recipe_tree import read_source
from minifold_core.testing.subject import perturb
from minifold_sidechain.config import SidechainFiguresConfig, SidechainHeadConfig
from minifold_sidechain.head import SidechainHead
from minifold_sidechain.metric import SidechainFigures


@pytest.fixture(scope="module")
def packer() -> FoldModel:
    torch.manual_seed(0)
    return assemble("packer", "nano").eval()


def test_an_untrained_packer_gives_the_most_frequent_rotamers(
    packer: FoldModel, demo: list[ProteinBatch]
) -> None:
    figures = SidechainFigures(SidechainFiguresConfig())
    with torch.no_grad():
        scored = figures(packer.trunk(demo[0], complete=True), Truth.of(demo[0]))
    for name, value in scored.items():
        if not name.startswith("floor_"):
            torch.testing.assert_close(
                value, scored[f"floor_{name}"], atol=2e-4, rtol=1e-4, equal_nan=True
            )


def test_native_side_chains_are_not_seen(packer: FoldModel, batch: ProteinBatch) -> None:
    assert batch.sidechain is not None
    other = replace(batch, sidechain=batch.sidechain + 1)
    with torch.no_grad():
        first, second = (packer.trunk(each, complete=True) for each in (batch, other))
    assert torch.equal(first["sidechain"], second["sidechain"])


def test_neighbours_decide(batch: ProteinBatch) -> None:
    """A residue's logits change with the kind of a neighbour in space."""
    torch.manual_seed(0)
    model = assemble("packer", "nano").eval()
    perturb(model)
    changed = batch.tokens.clone()
    changed[0, 10] = changed[0, 10] % 20 + 5
    with torch.no_grad():
        one = model.trunk(batch, complete=True)["rotamer_logits"]
        two = model.trunk(replace(batch, tokens=changed), complete=True)["rotamer_logits"]
    moved = (one - two).abs().amax(-1)[0] > 1e-6
    assert int(moved.sum()) > 10
    assert (one - two)[1:].abs().max() == 0


@pytest.mark.parametrize("moves", [False, True])
def test_gradients_reach_the_backbone_on_request(moves: bool, batch: ProteinBatch) -> None:
    config = SidechainHeadConfig(d_model=16, d_edge=8, neighbours=4, layers=1, moves_backbone=moves)
    head = perturb(SidechainHead(config, {"single": 8, "backbone": 3}))
    backbone = (batch.backbone / 10).requires_grad_()
    ports: dict[str, Any] = {
        "tokens": batch.tokens,
        "mask": batch.mask,
        "residue_index": batch.residue_index,
        "single": torch.zeros(*batch.tokens.shape, 8),
        "pair": None,
        "scale": None,
    }
    given: dict[str, Tensor] = head(backbone=backbone, **ports)
    given["sidechain"].sum().backward()
    assert (backbone.grad is not None) == moves


def test_the_manifest_is_that_of_the_code() -> None:
    sizes = read_source("packer").sizes
    text = dump_manifest(build_manifest("packer", sizes))
    assert (version_package("packer").directory / NAME).read_text(encoding="utf-8") == text
