"""What structures are judged by: angles, shape, size, partners, neighbours."""

from __future__ import annotations

import biotite.structure as struc
import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import jensenshannon, squareform

from generation_samples import LENGTH, chain_windows, helix, rng, trace
from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    histogram,
    jensen_shannon,
    pseudo_angles,
    ramachandran_angles,
)
from minifold_core.evaluation.generation.diversity import clusters
from minifold_core.evaluation.generation.gapless import gapless_tm
from minifold_core.evaluation.generation.matching import add_windows, make_draws
from minifold_core.evaluation.generation.novelty import Library
from minifold_core.evaluation.generation.shape import shape
from minifold_core.evaluation.generation.size import SizeLaw
from minifold_core.evaluation.generation.traces import Trace, natural_traces, read_samples
from minifold_core.evaluation.metrics import tm_score
from minifold_core.structures import write_structure


@pytest.fixture(scope="module")
def windows():
    return chain_windows()


def test_divergence_is_that_of_scipy_and_0_of_a_histogram_from_itself() -> None:
    p, q = rng().poisson(1.0, (2, 18, 36)).astype(float)
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p.ravel(), q.ravel(), 2) ** 2)
    assert jensen_shannon(p, 3 * p) == pytest.approx(0)
    assert jensen_shannon(np.eye(4), 1 - np.eye(4)) == pytest.approx(1)
    assert np.isnan(jensen_shannon(p, np.zeros_like(p)))


def test_angles_of_an_ideal_helix_and_of_its_mirror_image() -> None:
    known, places = torch.ones(LENGTH, dtype=torch.bool), torch.arange(LENGTH)
    for hand in (1, -1):
        angles = np.rad2deg(pseudo_angles(torch.tensor(helix(hand=hand)), known, places).numpy())
        whole = angles[np.isfinite(angles).all(-1)]
        assert whole == pytest.approx(np.tile([91.2, hand * 49.7], (LENGTH - 3, 1)), abs=1)
    for index, lost in ((places, 0), (places + (places > 9), 3)):
        counts = histogram(pseudo_angles(torch.tensor(helix()), known, index), PSEUDO_SPANS)
        assert counts.shape == (18, 36)
        assert counts.sum() == LENGTH - 3 - lost


def test_dihedrals_of_a_backbone_are_those_of_biotite(windows) -> None:
    chain = windows[0]
    atoms = struc.array(
        [
            struc.Atom(xyz, atom_name=name, element=name[0], res_id=i, res_name="ALA")
            for i, residue in enumerate(chain.backbone)
            for xyz, name in zip(residue[:3], ("N", "CA", "C"), strict=True)
        ]
    )
    phi, psi, _ = struc.dihedral_backbone(atoms)
    known = torch.from_numpy(chain.backbone_mask)
    places = torch.arange(len(chain))
    ours = ramachandran_angles(torch.from_numpy(chain.backbone), known, places).numpy()
    assert ours[1:-1] == pytest.approx(np.stack([phi, psi], -1)[1:-1], abs=1e-4)
    assert np.isnan(ours[0]).any()
    assert np.isnan(ours[-1]).any()


def test_shape_of_chains_that_can_be_told_by_hand() -> None:
    right, left = (shape(torch.tensor(helix(hand=hand))) for hand in (1, -1))
    assert right["helix"] > 0.9
    assert right["left_handed"] == 0
    assert left["left_handed"] == 1
    straight = torch.zeros(20, 3, dtype=torch.float64)
    straight[:, 0] = 3.8 * torch.arange(20)
    straight[10:, 0] += 1  # one bond of 4.8 Å
    found = shape(straight)
    assert found["bonds"] == pytest.approx(18 / 19)
    assert found["contact_order"] == 0
    folded = torch.cat([straight[:10], straight[:10].flip(0) + torch.tensor([0.0, 3.0, 0.0])])
    # Residue i lies 3 Å beside 19 - i, 4.84 Å beside the neighbours of that: only the first clash,
    # but for the pair in the turn, which is bonded.
    assert shape(folded)["clashes"] == 9


def test_the_law_of_size_is_found_again_in_spite_of_rods() -> None:
    lengths = np.arange(30, 130)
    rg = 2.2 * lengths**0.38 * np.exp(0.05 * rng().normal(size=100))
    rg[::8] = 1.5 * lengths[::8] / 12**0.5  # single helices
    law = SizeLaw.fit(lengths, rg)
    assert law.exponent == pytest.approx(0.38, abs=0.05)
    assert law.expected(100) == pytest.approx(2.2 * 100**0.38, rel=0.02)
    assert law.residuals([100], law.expected([100]) * np.exp(law.spread)) == pytest.approx([1])
    assert SizeLaw.fit([30, 30, 40], [1, 1, 2]) is None


def test_a_piece_of_a_chain_is_found_inside_it_whatever_the_order(windows) -> None:
    chain = Trace.of(next(c for c in open_dataset() if len(c) > 80), "x").ca
    piece = chain[17:60] @ torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]).double() + 5
    assert gapless_tm([(piece, chain), (chain, piece)]) == pytest.approx(1, abs=1e-6)
    one, other = (Trace.of(chain, "x").ca[:28] for chain in windows[:2])
    assert gapless_tm([(one, other)]) == pytest.approx(tm_score(one[None], other[None]).numpy())


def test_clusters_are_those_of_single_linkage() -> None:
    upper = np.triu(rng().uniform(0.2, 0.6, (30, 30)), 1)
    matrix = upper + upper.T + np.eye(30)
    tree = linkage(squareform(1 - matrix, checks=False), "single")
    expected = fcluster(tree, 0.5, "distance")
    found = clusters(matrix)
    assert len(set(found)) == len(set(expected)) == len(set(zip(found, expected, strict=True)))


def test_partners_have_the_length_and_are_never_used_twice(windows) -> None:
    pool = natural_traces(open_dataset())
    lengths = [40, 40, 60, 75, 75, 100, 500]
    both = [*pool, *add_windows(lengths, pool, rng())]
    have = np.array([len(each) for each in both])
    for draw in make_draws(lengths, both, rng()):
        partners = np.concatenate([draw.first, draw.second])
        entries = [both[row].source for row in partners]
        assert len(set(entries)) == len(entries)
        wanted = np.tile(np.array(lengths)[draw.samples], 2)
        assert (np.abs(have[partners] - wanted) <= 0.1 * wanted).all()
        assert 6 not in draw.samples
    assert add_windows([LENGTH], natural_traces(windows), rng()) == []
    assert {len(window) for window in add_windows([25], pool, rng())} == {25}
    assert make_draws([500], pool, rng()) == []


def test_a_copy_is_found_by_name_and_a_natural_chain_never_finds_its_own_entry(windows) -> None:
    library = Library([Trace.of(chain, chain.entry) for chain in windows])
    noise = 0.1 * torch.randn(len(library.chains[7]), 3, generator=torch.Generator().manual_seed(0))
    found = library.nearest(trace(library.chains[7].ca + noise, "file"))
    assert found.name == "w7.A"
    assert found.tm > 0.9
    assert library.nearest(library.chains[7]).name != "w7.A"
    assert library.nearest(trace(helix(60))) == (None, pytest.approx(float("nan"), nan_ok=True))


def test_a_bond_that_is_too_long_is_a_fault_and_no_gap(tmp_path) -> None:
    broken = helix()
    broken[15:] += 10
    write_structure(tmp_path / "broken.pdb", broken, "A" * LENGTH)
    (found,), rejected = read_samples([tmp_path])
    assert len(found) == LENGTH
    assert shape(found.ca)["bonds"] == pytest.approx(28 / 29)
    assert rejected == []
