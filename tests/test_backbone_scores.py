"""Scores of backbones that need no truth, against biotite, mkdssp and plain loops."""

import biotite.structure as struc
import numpy as np
import pytest
import torch

from backbone_reference import CA_C_N, CA_C_O, LENGTHS, N_CA_C, backbone
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import MinifoldError
from minifold_core.evaluation.backbone import backbone_scores
from minifold_core.evaluation.peptides import phi_psi, units
from minifold_core.evaluation.ramachandran import (
    CELLS,
    cell,
    density,
    natural_counts,
    share_in_denser_cells,
)
from minifold_core.evaluation.scores import SCORES
from minifold_core.residues import ONE_TO_TOKEN, UNK

MIRROR = torch.tensor([1.0, 1.0, -1.0])
RADII = {"N": 1.55, "CA": 1.70, "C": 1.70, "O": 1.52}
MKDSSP = {
    "1zaa.finger1": (16, 16), "1zfd.N": (14, 14), "2drp.finger1": (18, 20), "1lfm.A": (55, 58),
    "1m60.A": (61, 64), "1crj._": (58, 61), "1yeb._": (56, 58), "2sdf.A": (28, 32),
    "1tii.D": (58, 61), "1tii.C": (30, 30), "1a7g.E": (48, 51), "1a8o.A": (44, 45),
    "4cup.A": (72, 74), "1adz.A": (32, 36), "1hpv.A": (52, 56), "1lcd.A": (31, 31),
    "2ofg.X": (49, 51), "7cfn.G": (37, 38),
}  # fmt: skip
"""N-H that mkdssp 4.2.2 bonds below -0.5 kcal/mol, and those that it prints at -0.5 or below."""


@pytest.fixture(scope="module")
def demo():
    return collate(list(open_dataset("demo")))


@pytest.fixture(scope="module")
def scores(demo) -> dict[str, torch.Tensor]:
    return backbone_scores(demo.backbone, demo.backbone_mask, demo.tokens, demo.residue_index)


def ideal(phi: float, psi: float, length: int = 20, omega: float = 180.0) -> torch.Tensor:
    """[1, L, 4, 3] in ångström, of the reference's own bond lengths and angles."""
    angles = (np.full(length, np.radians(degrees)) for degrees in (phi, psi, omega))
    return torch.tensor(backbone(*angles))[None]


def tokens(letters: str) -> torch.Tensor:
    return torch.tensor([[ONE_TO_TOKEN[letter] for letter in letters]])


def test_phi_and_psi_are_biotites(demo) -> None:
    phi, psi = phi_psi(units(demo.backbone.double(), demo.backbone_mask, demo.residue_index))
    for row, chain in enumerate(open_dataset("demo")):
        atoms = struc.AtomArray(3 * len(chain))
        atoms.coord = chain.backbone[:, :3].reshape(-1, 3)
        atoms.res_id = np.repeat(np.arange(len(chain)), 3)
        atoms.atom_name = np.array(["N", "CA", "C"] * len(chain))
        atoms.res_name[:], atoms.chain_id[:] = "ALA", "A"
        for mine, theirs in zip((phi, psi), struc.dihedral_backbone(atoms), strict=False):
            mine = mine[row, : len(chain)].numpy()
            np.testing.assert_allclose(np.cos(mine), np.cos(theirs), atol=1e-4)
            np.testing.assert_allclose(np.sin(mine), np.sin(theirs), atol=1e-4)


def test_hydrogen_bonds_are_mkdssps(demo, scores) -> None:
    for row, name in enumerate(demo.names):
        low, high = MKDSSP[name]
        residues = int(demo.mask[row].sum())
        assert low <= round(float(scores["hbonds"][row]) * residues) <= high, name


def test_hydrogen_bonds_of_an_ideal_helix() -> None:
    # Every N-H but the first four finds the C=O four residues before it.
    helix = ideal(-57, -47)
    assert backbone_scores(helix)["hbonds"].item() == pytest.approx(16 / 20)
    prolines = backbone_scores(helix, tokens=tokens("A" * 10 + "PP" + "A" * 8))
    assert prolines["hbonds"].item() == pytest.approx(14 / 20)
    assert backbone_scores(ideal(-120, 130))["hbonds"] == 0


def test_bonds_and_angles_by_hand() -> None:
    # One glycine before one proline, of the reference's geometry.
    pair = ideal(-60, 140, length=2)
    scores = backbone_scores(pair, tokens=tokens("GP"))
    z = [
        *((LENGTHS["N-CA"] - mean) / sd for mean, sd in ((1.451, 0.016), (1.466, 0.015))),
        *((LENGTHS["CA-C"] - mean) / sd for mean, sd in ((1.516, 0.018), (1.525, 0.021))),
        *[(LENGTHS["C-O"] - 1.231) / 0.020] * 2,
        (LENGTHS["C-N"] - 1.341) / 0.016,
    ]
    assert scores["bond_z"].item() == pytest.approx(np.sqrt(np.mean(np.square(z))))
    n_ca_c, ca_c_n, ca_c_o = np.degrees([N_CA_C, CA_C_N, CA_C_O])
    z = [
        (n_ca_c - 112.5) / 2.9,
        (n_ca_c - 111.8) / 2.5,
        (ca_c_o - 120.8) / 2.1,
        (ca_c_o - 120.8) / 1.7,
        (ca_c_n - 116.9) / 1.5,
        (360 - ca_c_n - ca_c_o - 122.0) / 1.4,
        (np.degrees(np.arccos(-0.5203)) - 122.6) / 5.0,
    ]
    assert scores["angle_z"].item() == pytest.approx(np.sqrt(np.mean(np.square(z))))


@pytest.mark.parametrize(("omega", "letter", "degrees"), [
    (180, "A", 0), (170, "A", 10), (-168, "P", 12), (5, "P", 5), (5, "A", 175), (5, "X", 5),
])  # fmt: skip
def test_cis_is_right_before_proline_only(omega: float, letter: str, degrees: float) -> None:
    code = torch.full((1, 8), ONE_TO_TOKEN.get(letter, UNK))
    omega_z = backbone_scores(ideal(-70, 140, 8, omega), tokens=code)["omega_z"]
    assert omega_z.item() == pytest.approx(degrees / 6.2, abs=1e-6)


def test_clashes_are_counted_as_by_two_loops(demo) -> None:
    packed = demo.backbone[2:3] * 0.55
    mask = demo.backbone_mask[2:3].clone()
    mask[0, 7, 3] = mask[0, 12] = False
    atoms = [
        (residue, name, packed[0, residue, place].double().numpy())
        for residue in range(packed.shape[1])
        for place, name in enumerate(RADII)
        if mask[0, residue, place]
    ]
    count = 0
    for i, (r, first, x) in enumerate(atoms):
        for s, second, y in atoms[i + 1 :]:
            bonded = s == r + 1 and (first, second) == ("C", "N")
            if r != s and not bonded:
                count += np.linalg.norm(x - y) < RADII[first] + RADII[second] - 1.5
    index = demo.residue_index[2:3]
    found = backbone_scores(packed, mask, demo.tokens[2:3], index)["clashes"]
    assert count > 50
    assert found.item() == pytest.approx(100 * count / int(mask.all(-1).sum()))


def test_the_regions_hold_what_they_say() -> None:
    counts = natural_counts()
    assert counts.shape == (3, CELLS, CELLS)
    natural, denser = density(counts), share_in_denser_cells(counts)
    np.testing.assert_allclose(natural.sum((1, 2)), 1)
    for limit in (0.98, 0.9995):
        inside = (natural * (denser < limit)).sum((1, 2))
        assert (inside >= limit).all()
        assert (inside < limit + 0.005).all()
    # The common kinds of residue shun most of the plane, glycine half as much.
    areas = (denser < 0.98).mean((1, 2))
    assert 0.1 < areas[0] < 0.25
    assert areas[2] < areas[0] < areas[1] < 0.5


@pytest.mark.parametrize(("phi", "psi", "kind", "rare", "outlier"), [
    (-63, -42, 0, False, False),
    (-120, 130, 0, False, False),
    (57, 40, 0, False, False),
    (75, -170, 0, True, None),
    (0, 0, 0, True, True),
    (90, 180, 1, False, False),
    (-65, 145, 2, False, False),
    (-140, 150, 2, True, None),
    (60, 40, 2, True, True),
])  # fmt: skip
def test_known_places_of_the_plane(phi, psi, kind, rare: bool, outlier: bool | None) -> None:
    place = cell(torch.deg2rad(torch.tensor([phi, psi], dtype=torch.float64)))
    denser = share_in_denser_cells(natural_counts())[kind, place[0], place[1]]
    assert (denser >= 0.98) == rare
    assert outlier is None or (denser >= 0.9995) == outlier


def test_well_determined_chains_are_natural_and_their_mirror_images_are_not(demo, scores) -> None:
    mirrored = backbone_scores(
        demo.backbone * MIRROR, demo.backbone_mask, demo.tokens, demo.residue_index
    )
    crystals = [demo.names.index(name) for name in ("1tii.D", "1a8o.A", "4cup.A", "1hpv.A")]
    assert scores["rama_rare"][crystals].max() < 0.03
    assert scores["rama_outliers"][crystals].max() == 0
    assert mirrored["rama_rare"].mean() > 0.5
    assert mirrored["rama_outliers"].mean() > 0.25
    for name in ("bond_z", "angle_z", "omega_z"):
        assert scores[name][crystals].max() < 1
        torch.testing.assert_close(mirrored[name], scores[name], atol=1e-5, rtol=0)
    assert scores["clashes"].max() == 0


def test_motion_padding_and_the_rest_of_the_batch_change_nothing(demo, scores) -> None:
    assert list(scores) == [name for name, score in SCORES.items() if score.of == "backbone"]
    generator = torch.Generator().manual_seed(0)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    moved = demo.backbone.double() @ (turn * torch.linalg.det(turn)).mT + 30
    moved[~demo.backbone_mask] = float("nan")
    whole = backbone_scores(moved, demo.backbone_mask, demo.tokens, demo.residue_index)
    for row in range(0, len(demo), 3):
        length = int(demo.mask[row].sum())
        part = [
            x[row : row + 1, :length]
            for x in (demo.backbone, demo.backbone_mask, demo.tokens, demo.residue_index)
        ]
        for name, value in backbone_scores(*part).items():
            torch.testing.assert_close(value[0], scores[name][row])
            torch.testing.assert_close(value[0], whole[name][row], atol=1e-8, rtol=1e-8)


def test_nothing_is_measured_across_a_break() -> None:
    x = ideal(-120, 130)
    x[:, 10:] += 50
    index = torch.arange(20)[None]
    broken = backbone_scores(x, residue_index=index + 3 * (index > 9))
    assert broken["bond_z"] < 1
    assert broken["omega_z"].item() == pytest.approx(0, abs=1e-6)
    assert backbone_scores(x)["bond_z"] > 100


def test_what_is_not_there_is_not_scored(demo) -> None:
    x, mask = demo.backbone[:2], demo.backbone_mask[:2].clone()
    mask[0] = mask[0] & torch.tensor([False, True, False, False])  # Cα only
    trace, whole = zip(*(values for values in backbone_scores(x, mask).values()), strict=True)
    assert all(value.isnan() for value in trace)
    assert all(value.isfinite() for value in whole)
    lone = backbone_scores(x[:, :1])
    assert lone["rama_rare"].isnan().all()
    assert lone["omega_z"].isnan().all()
    assert (lone["hbonds"] == 0).all()
    assert lone["bond_z"].isfinite().all()


def test_a_collapsed_backbone_scores_badly_everywhere(demo) -> None:
    point = backbone_scores(0 * demo.backbone, demo.backbone_mask, demo.tokens)
    assert point["rama_rare"].min() > 0.5
    assert point["bond_z"].min() > 50
    assert point["clashes"].min() > 10_000
    assert point["hbonds"].max() == 0


def test_what_cannot_be_scored_is_named(demo) -> None:
    x = demo.backbone.clone()
    with pytest.raises(MinifoldError, match=r"a mask \[B, L, 4\]"):
        backbone_scores(x, demo.mask)
    x[3, 2, 1, 0] = float("inf")
    with pytest.raises(MinifoldError, match="chain 3 of the batch"):
        backbone_scores(x, demo.backbone_mask)
