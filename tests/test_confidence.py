"""The lDDT that a distogram expects, against biotite's lDDT and against draws of distances."""

from __future__ import annotations

import biotite.structure as struc
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from minifold_confidence.config import ExpectedLddtConfig
from minifold_confidence.head import ExpectedLddt
from minifold_core.assembly import assemble, wire
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.recipe import load_recipe

HEAD = ExpectedLddt(ExpectedLddtConfig(), {})


def expected(logits: Tensor, edges: Tensor, mask: Tensor, sampled: Tensor) -> Tensor:
    """What the head expects of ``sampled`` [B, L, 3] in ångström, whose units all differ."""
    scale = 10.0 + 5 * torch.arange(len(mask))
    given = HEAD(
        distogram_logits=logits,
        distogram_edges=edges.expand(len(mask), -1),
        mask=mask,
        sampled=sampled / scale[:, None, None],
        scale=scale,
    )
    assert given.keys() == {"plddt"}
    return given["plddt"]


def noised(truth: Truth) -> Tensor:
    """[B, L, 3] native structures in ångström, with noise that comes and goes along the chain."""
    places = torch.arange(truth.ca.shape[1]) / 8
    size = 3.0 * places.sin().clamp(min=0)[:, None]
    noise = torch.randn(truth.ca.shape, generator=torch.Generator().manual_seed(0))
    return truth.ca * truth.scale[:, None, None] + size * noise


def test_of_distances_that_are_known_it_is_biotites_lddt(demo_batch: ProteinBatch) -> None:
    truth = Truth.of(demo_batch)
    native, sampled = truth.ca * truth.scale[:, None, None], noised(truth)
    edges = torch.arange(2.0, 24.0, 0.02)
    classes = torch.bucketize(torch.cdist(native, native), edges)
    logits = 50 * torch.nn.functional.one_hot(classes, len(edges) + 1).float()
    found = expected(logits, edges, truth.mask, sampled)
    assert not found[~truth.mask].any()
    for row, known in enumerate(truth.mask):
        pair = []
        for ca in (native, sampled):
            atoms = struc.AtomArray(int(known.sum()))
            atoms.coord = ca[row][known].numpy()
            atoms.res_id, atoms.atom_name[:] = np.arange(len(atoms)) + 1, "CA"
            pair.append(atoms)
        wanted = struc.lddt(*pair, aggregation="residue")
        assert np.ptp(wanted) > 0.5
        # A distance within a class of one of lDDT's limits may fall on either side of it.
        off = np.abs(found[row][known].numpy() - wanted)
        assert (off.max() < 0.03, off.mean() < 0.003) == (True, True), off


@pytest.mark.parametrize("edges", [[3.0, 4.1, 7.0, 7.5, 12.0, 16.3, 19.0], [4.5, 9.0], [6.0]])
def test_it_is_the_quotient_of_two_means_over_draws_of_all_distances(edges: list[float]) -> None:
    """Classes of any widths, ends of which fall between 15 Å and the limits of lDDT."""
    generator = torch.Generator().manual_seed(1)
    length = 5
    logits = 2 * torch.randn(1, length, length, len(edges) + 1, generator=generator)
    sampled = 4 * torch.randn(1, length, 3, generator=generator)
    ends = torch.tensor([0.0, *edges, 30.0]).double()
    chances = logits[0].double().softmax(-1)
    drawn = torch.multinomial(chances.flatten(0, 1), 40_000, replacement=True, generator=generator)
    share = torch.rand(drawn.shape, generator=generator, dtype=torch.float64)
    true = (ends[drawn] + share * (ends[drawn + 1] - ends[drawn])).unflatten(0, (length, length))
    error = (true - torch.cdist(sampled[0], sampled[0]).double()[..., None]).abs()
    counts = (true < 15) & ~torch.eye(length, dtype=torch.bool)[..., None]
    kept = sum((counts & (error < limit)).sum((1, 2)) for limit in (0.5, 1.0, 2.0, 4.0)) / 4
    wanted = (kept / counts.sum((1, 2))).float()
    mask = torch.ones(1, length, dtype=torch.bool)
    found = expected(logits, torch.tensor(edges), mask, sampled)
    assert 0.05 < float(wanted.min()) < float(wanted.max()) < 0.95
    assert_close(found[0], wanted, atol=0.005, rtol=0)


def test_residues_off_the_mask_and_residues_alone() -> None:
    generator = torch.Generator().manual_seed(2)
    edges = torch.linspace(2.3, 21.7, 30)
    logits = torch.randn(2, 6, 6, 31, generator=generator)
    sampled = 5 * torch.randn(2, 6, 3, generator=generator)
    mask = torch.tensor([[1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]]).bool()
    found = expected(logits, edges, mask, sampled)
    cut = expected(logits[:1, :4, :4], edges, mask[:1, :4], sampled[:1, :4])
    assert_close(found[0, :4], cut[0])
    assert not found[~mask].any()
    assert found[1].tolist() == [0] * 6
    far = logits.clone()
    far[..., :-1] = -1e4  # no distance of the truth counts
    assert not expected(far, edges, mask, sampled).any()


def test_v15_reads_it_off_in_sampling_alone() -> None:
    wiring = wire(load_recipe("v15"))
    assert (wiring.idle, wiring.unused) == ((), {})
    assert "heads.distance" in wiring.needed_for(["plddt"])
    assert [s.slot.path for s in wiring.steps if s.finished] == ["heads.confidence"]
    assert not list(assemble("v15", "nano").heads["confidence"].parameters())
