"""Losses and figures against values worked out by hand and against brute force."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.residues import ONE_TO_TOKEN, SIDECHAIN_ATOMS
from minifold_sidechain.clash import RADII, SidechainClashLoss
from minifold_sidechain.config import (
    ChiConfig,
    RotamerConfig,
    SidechainClashConfig,
    SidechainFiguresConfig,
)
from minifold_sidechain.ideal import SWAPS, tables
from minifold_sidechain.losses import ChiLoss, RotamerLoss
from minifold_sidechain.measure import native
from minifold_sidechain.metric import SidechainFigures
from minifold_sidechain.rotamers import cos_sin, rotamers


def turned(chi: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    """Torsions [..., 2] turned by angles [...]."""
    angle = torch.atan2(chi[..., 1], chi[..., 0]) + by
    return cos_sin(angle) * chi.norm(dim=-1, keepdim=True)


def test_torsion_loss_of_known_errors(truth: Truth) -> None:
    found = native(truth)
    loss = ChiLoss(ChiConfig(clamp=None))
    for degrees in (0, 30, 90):
        error = torch.tensor(math.radians(degrees))
        once = loss({"chi": turned(found.chi, error)}, truth)
        periodic = tables().periodic[truth.tokens] & found.defined
        cosine = torch.where(periodic, error.cos().abs(), error.cos())
        expected = ((1 - cosine) * found.defined).sum((1, 2)) / found.defined.sum((1, 2))
        assert once.tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    half = torch.where(tables().periodic[truth.tokens], math.pi, 0.0)
    assert loss({"chi": turned(found.chi, half)}, truth).abs().max() < 1e-5
    assert loss({"chi": -found.chi}, truth).min() > 1.5


def test_clamped_torsions_are_not_pulled_into_other_rotamers(truth: Truth) -> None:
    found = native(truth)
    chi = turned(found.chi, torch.tensor(2.0)).requires_grad_()
    value = ChiLoss(ChiConfig())({"chi": chi}, truth)
    value.sum().backward()
    periodic = tables().periodic[truth.tokens]
    assert chi.grad is not None
    assert (chi.grad[~periodic] == 0).all()


def test_rotamer_loss_is_the_cross_entropy_of_frequencies(truth: Truth) -> None:
    """With the prior as logits, the mean of -ln of the frequencies of what is there."""
    table, found = rotamers(), native(truth)
    logits = table.prior[truth.tokens].masked_fill(~table.valid[truth.tokens], -1e4).float()
    value = RotamerLoss(RotamerConfig())({"rotamer_logits": logits}, truth)
    for b in range(len(value)):
        terms = []
        for token, chi, defined in zip(
            truth.tokens[b], found.chi[b].double(), found.defined[b], strict=True
        ):
            has = tables().chi_mask[token]
            if has.any() and torch.equal(defined, has):
                terms.append(-float(table.prior[token, table.number(chi, token)]))
        assert float(value[b]) == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_clashes_are_those_of_brute_force(batch: ProteinBatch) -> None:
    """Every pair of atoms of a short stretch, bonds counted by walking along them."""
    short = replace(
        batch,
        **{
            name: getattr(batch, name)[:1, :14]
            for name in (
                "tokens",
                "residue_index",
                "backbone",
                "backbone_mask",
                "sidechain",
                "sidechain_mask",
            )
        },
        names=batch.names[:1],
        cath=None,
    )
    truth = Truth.of(short)
    x = torch.cat([truth.backbone, truth.sidechain * 0.8], 2)[0]  # squeezed: many overlaps
    squeezed = {"backbone": x[None, :, :4], "sidechain": x[None, :, 4:]}
    value = SidechainClashLoss(SidechainClashConfig(tolerance=0.3))(squeezed, truth)

    atoms = []
    for i, token in enumerate(truth.tokens[0].tolist()):
        one = next(letter for letter, t in ONE_TO_TOKEN.items() if t == token)
        names = ("N", "CA", "C", "O", *SIDECHAIN_ATOMS[one])
        atoms += [(i, token, k, name, x[i, k] * 10) for k, name in enumerate(names)]
    total = 0.0
    separation = tables().separation
    for (i, s, a, name, p), (j, t, b, other, q) in product(atoms, atoms):
        if (i, a) >= (j, b) or (a < 4 and b < 4) or (name[0] == other[0] == "S"):
            continue
        bonds = 99 if j - i > 1 else int(separation[s, a, 2] + 1 + separation[t, 0, b])
        bonds = int(separation[s, a, b]) if i == j else bonds
        if bonds >= 4:
            reach = RADII[name[0]] + RADII[other[0]] - 0.3
            total += max(0.0, reach - float((p - q).norm())) ** 2
    assert total > 1
    assert float(value[0]) == pytest.approx(total / 14, rel=1e-4)


def test_clashes_looked_at_in_lots_are_the_same(
    truth: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for lot in (2**22, 5 * 14**2):
        monkeypatch.setattr("minifold_sidechain.clash.DISTANCES_AT_ONCE", lot)
        side = (truth.sidechain * 0.9).requires_grad_()
        value = SidechainClashLoss(SidechainClashConfig())(
            {"backbone": truth.backbone, "sidechain": side}, truth
        )
        value.sum().backward()
        found.append((value.detach(), side.grad))
    assert found[0][0].min() > 0
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_native_side_chains_hardly_clash(demo: list[ProteinBatch]) -> None:
    loss = SidechainClashLoss(SidechainClashConfig())
    truths = [Truth.of(batch) for batch in demo]
    each = [loss({"backbone": t.backbone, "sidechain": t.sidechain}, t) for t in truths]
    assert torch.cat(each).median() < 0.02


def test_figures_of_the_truth_and_of_its_other_names(truth: Truth) -> None:
    figures = SidechainFigures(SidechainFiguresConfig())
    found = native(truth)
    exact = {"chi": found.chi, "sidechain": truth.sidechain, "backbone": truth.backbone}
    order = torch.arange(10).repeat(25, 1)
    for one, pairs in SWAPS.items():
        for a, b in pairs:
            i, j = SIDECHAIN_ATOMS[one].index(a), SIDECHAIN_ATOMS[one].index(b)
            order[ONE_TO_TOKEN[one], [i, j]] = torch.tensor([j, i])
    index = order[truth.tokens][..., None].expand(truth.sidechain.shape)
    half = torch.where(tables().periodic[truth.tokens], math.pi, 0.0)
    renamed = exact | {
        "sidechain": truth.sidechain.gather(2, index),
        "chi": turned(found.chi, half),
    }
    for prediction in (exact, renamed):
        scored = figures(prediction, truth)
        assert scored["sidechain_rmsd_angstrom"].nan_to_num().max() < 1e-4
        assert scored["chi1_mae_radians"].nan_to_num().max() < 2e-3
        assert scored["rotamer_recovery"].nan_to_num(1).min() == 1
    off = turned(found.chi, torch.tensor(math.radians(41)))
    assert figures(exact | {"chi": off}, truth)["rotamer_recovery"].nan_to_num().max() == 0


def test_the_backbone_s_place_does_not_count(truth: Truth) -> None:
    figures = SidechainFigures(SidechainFiguresConfig())
    found = native(truth)
    moved = {
        "chi": found.chi,
        "sidechain": truth.sidechain + 3.0,
        "backbone": truth.backbone + 3.0,
    }
    assert figures(moved, truth)["sidechain_rmsd_angstrom"].nan_to_num().max() < 1e-4
