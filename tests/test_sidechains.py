"""Side chains on their way: from packs to losses, between heads, and into files."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from minifold_core import discovery
from minifold_core.assembly import assemble, wire
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.cli.sample import save_fold
from minifold_core.components import ComponentSpec, Kind
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.discovery import Offer, Origin
from minifold_core.errors import RequestError
from minifold_core.folding import Target, fold
from minifold_core.geometry.sidechains import sidechain_atoms
from minifold_core.recipe import load_recipe
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.residues import MASK, SIDECHAIN_ATOMS, UNK
from minifold_core.testing import ConformanceError, check_component
from minifold_core.training.objective import Objective
from sidechain_configs import PACKER

CHAINS = sorted(open_dataset(), key=lambda chain: len(chain.sequence))[:3]


def spec(kind: Kind, name: str, config: str, implementation: str) -> ComponentSpec:
    module = "sidechain_configs", "sidechain_parts"
    return ComponentSpec(
        kind, name, f"{module[0]}:{config}", f"{module[1]}:{implementation}", "made for a test"
    )


SPECS = (
    spec("encoder", "given", "GivenConfig", "GivenEncoder"),
    spec("head", "atoms", "AtomsConfig", "AtomsHead"),
    spec("head", "circle", "CircleConfig", "AtomsHead"),
    spec("head", "burial", "BurialConfig", "BurialHead"),
    spec("head", "cheat", "GivenHeadConfig", "BurialHead"),
    spec("loss", "atoms", "AtomsLossConfig", "AtomsLoss"),
)


@pytest.fixture(autouse=True)
def _parts(fresh_discovery: None) -> None:
    for part in SPECS:
        offer = Offer(part, Origin("atoms", "sidechain_parts", "test", "1"))
        discovery.find_components().items[f"{part.kind}/{part.name}"] = offer


def test_a_batch_has_side_chains_if_any_chain_has() -> None:
    bare = replace(CHAINS[0], sidechain=None, sidechain_mask=None)
    assert collate([bare]).sidechain is None
    batch = collate([bare, CHAINS[1], CHAINS[2]])
    assert batch.sidechain is not None
    assert batch.sidechain_mask is not None
    assert not batch.sidechain_mask[0].any()
    for row in (1, 2):
        length = len(CHAINS[row])
        np.testing.assert_array_equal(batch.sidechain[row, :length], CHAINS[row].sidechain)
        np.testing.assert_array_equal(
            batch.sidechain_mask[row, :length], CHAINS[row].sidechain_mask
        )
        assert not batch.sidechain[row, length:].any()
    assert not (batch.sidechain_mask & ~sidechain_atoms(batch.tokens)).any()
    elsewhere = batch.to("meta")
    for field in fields(ProteinBatch):
        value = getattr(elsewhere, field.name)
        assert not isinstance(value, torch.Tensor) or value.is_meta


@pytest.mark.parametrize("by_size", [False, True])
def test_truth_has_side_chains_where_the_backbone_is(by_size: bool) -> None:
    batch = collate(CHAINS)
    hidden = batch.without_condition(torch.tensor([True, False, False]))
    assert (hidden.tokens[0] == MASK).any()
    truth = Truth.of(hidden.without_condition(), by_size)
    assert torch.equal(truth.tokens, batch.tokens)
    known = truth.sidechain_mask
    assert known.any()
    assert batch.sidechain is not None
    here = (truth.sidechain - truth.ca[:, :, None]) * truth.scale[:, None, None, None]
    there = batch.sidechain - batch.ca[:, :, None]
    torch.testing.assert_close(here[known], there[known], atol=1e-4, rtol=0)
    assert not truth.sidechain[~known].any()


def test_truth_without_side_chains_knows_none_of_them() -> None:
    batch = ProteinBatch.from_sequences(["ACDE", "AC"])
    truth = Truth.of(batch)
    assert truth.sidechain.shape == (2, 4, 10, 3)
    assert not truth.sidechain_mask.any()
    plain = Truth(truth.backbone, truth.backbone_mask, truth.residue_index, truth.scale)
    assert plain.tokens.eq(UNK).all()


def test_a_head_may_read_what_a_later_one_gives() -> None:
    parts = {"heads.a": "burial", "heads.atoms": "atoms"}
    paths = [s.slot.path for s in wire(load_recipe("v14", components=parts)).steps]
    assert paths[-3:] == ["heads.backbone", "heads.atoms", "heads.a"]
    plain = [s.slot.path for s in wire(load_recipe("v14")).steps]
    assert [p for p in paths if p not in parts] == plain


def test_heads_that_wait_for_each_other_are_refused() -> None:
    parts = {"heads.a": "burial", "heads.atoms": "circle"}
    with pytest.raises(RequestError, match="in a circle") as caught:
        wire(load_recipe("v14", components=parts))
    assert "heads.a reads 'sidechain' of heads.atoms" in str(caught.value)
    assert "heads.atoms reads 'burial' of heads.a" in str(caught.value)


@pytest.mark.parametrize("parts", [{"encoder": "given"}, {"heads.x": "cheat"}])
def test_a_model_that_denoises_is_given_no_backbone(parts: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="the answer would be in the input"):
        wire(load_recipe("v14", components=parts))


def test_a_model_without_a_denoiser_is_given_the_backbone(tmp_path: Path) -> None:
    path = tmp_path / "packer.toml"
    path.write_text(PACKER)
    model, batch = assemble(path), collate(CHAINS)
    features = model.trunk(batch, complete=True)
    torch.testing.assert_close(features["backbone"] * 10, batch.backbone)
    objective = Objective.of(model.recipe)
    terms = objective.terms(features, batch)
    assert (terms["atoms"] > 0).all()


def test_the_kit_tries_parts_that_handle_side_chains() -> None:
    for part in SPECS:
        if part.name in ("given", "atoms", "burial"):
            check_component(part)
    with pytest.raises(ConformanceError, match="is not 0 where a residue has no such atom"):
        check_component(spec("head", "lavish", "AtomsConfig", "LavishHead"))
    with pytest.raises(ConformanceError, match="'backbone' does not move with a turn and shift"):
        check_component(spec("encoder", "units", "GivenConfig", "UnitsEncoder"))


@pytest.mark.parametrize("guidance", [1.0, 0.0])
def test_sampled_side_chains_reach_the_file(tmp_path: Path, guidance: float) -> None:
    torch.manual_seed(0)
    model = assemble("v14", "nano", components={"heads.atoms": "atoms"})
    targets = [Target("a", "GAVWX"), Target("b", "RK")]
    for done in fold(model, targets, SamplingConfig(steps=2, guidance=guidance)):
        path = tmp_path / f"{done.target.name}.cif"
        save_fold(done, path)
        (chain,) = gemmi.read_structure(str(path))[0]
        sides = [SIDECHAIN_ATOMS[code] if guidance else () for code in done.target.sequence]
        names = [[atom.name for atom in residue if atom.name != "OXT"] for residue in chain]
        assert names == [["N", "CA", "C", "O", *side] for side in sides]
        assert (done.sidechain is None) == (guidance == 0)
        if done.sidechain is not None and done.backbone is not None:
            away = done.backbone[:, 1] - done.backbone[:, 0]
            row = 1 if done.target.name == "a" else 0
            torch.testing.assert_close(done.sidechain[row, 0], done.backbone[row, 1] + away[row])
