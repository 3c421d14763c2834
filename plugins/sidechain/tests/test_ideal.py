"""The committed tables against biotite's dictionary, and the statistics against the data."""

from __future__ import annotations

import json
import math
from importlib.resources import files

import biotite.structure as struc
import biotite.structure.info as info
import numpy as np
import pytest
import torch

from minifold_core.residues import (
    AMINO_ACIDS,
    BACKBONE_ATOMS,
    ONE_TO_THREE,
    ONE_TO_TOKEN,
    SIDECHAIN_ATOMS,
)
from minifold_sidechain.ideal import CHI_ENDS, PERIODIC, tables
from minifold_sidechain.rotamers import cos_sin, rotamers

ENTRIES = json.loads(files("minifold_sidechain").joinpath("ideal.json").read_text())


@pytest.mark.parametrize("one", AMINO_ACIDS)
def test_ideal_residues_are_the_dictionary_s(one: str) -> None:
    molecule, entry = info.residue(ONE_TO_THREE[one]), ENTRIES[one]
    names = molecule.atom_name.tolist()
    assert tuple(entry["atoms"]) == (*BACKBONE_ATOMS, *SIDECHAIN_ATOMS[one])
    bonds = {frozenset((names[i], names[j])) for i, j, _ in molecule.bonds.as_array().tolist()}
    mine = {frozenset(bond) for bond in entry["bonds"]}
    assert mine == {bond for bond in bonds if bond <= set(entry["atoms"])}
    xyz = {name: np.array(at) for name, at in entry["atoms"].items()}
    theirs = {name: molecule.coord[names.index(name)] for name in xyz}
    if one == "R":
        theirs["NH1"], theirs["NH2"] = theirs["NH2"], theirs["NH1"]
    for bond in mine:
        a, b = bond
        length, dictionary = (float(np.linalg.norm(x[a] - x[b])) for x in (xyz, theirs))
        # Measured lengths stand for some of the dictionary's: hydrogens make carboxyls uneven.
        assert length == pytest.approx(dictionary, abs=0.1)
    path = ("N", "CA", "CB", *CHI_ENDS[one])
    for four in zip(path, path[1:], path[2:], path[3:], strict=False):
        mine_, theirs_ = (struc.dihedral(*(x[name] for name in four)) for x in (xyz, theirs))
        assert math.cos(mine_ - theirs_) > 0.999
    assert rings(one, xyz) == pytest.approx(rings(one, theirs), abs=2e-3)


def rings(one: str, xyz: dict[str, np.ndarray]) -> list[float]:
    """Distances between the atoms of a ring: it is rigid, whatever is bent before it."""
    members = {"F": 6, "Y": 6, "H": 5, "W": 9}.get(one)
    if not members:
        return []
    atoms = SIDECHAIN_ATOMS[one][1 : 1 + members]
    return [float(np.linalg.norm(xyz[a] - xyz[b])) for a in atoms for b in atoms]


def test_rigid_groups_are_those_of_the_torsions() -> None:
    """Turning χk moves just the atoms of groups k and up."""
    expected = {
        "R": [0, 1, 2, 3, 4, 4, 4], "L": [0, 1, 2, 2], "I": [0, 1, 1, 2], "F": [0, 1, *[2] * 5],
        "P": [0, 1, 2], "D": [0, 1, 2, 2], "V": [0, 1, 1], "M": [0, 1, 2, 3], "A": [0],
    }  # fmt: skip
    for one, groups in expected.items():
        assert tables().group[ONE_TO_TOKEN[one], : len(groups)].tolist() == groups, one


def test_rotamers_number_their_own_means() -> None:
    table = rotamers()
    for one in AMINO_ACIDS:
        token = torch.tensor(ONE_TO_TOKEN[one])
        numbers = table.valid[token].nonzero()[:, 0]
        again = table.number(cos_sin(table.mean[token, numbers]), token.expand(len(numbers)))
        if CHI_ENDS[one]:
            assert torch.equal(again, numbers), one
        assert float(table.prior[token][numbers].exp().sum()) == pytest.approx(1)
    assert len(PERIODIC) == 4


def test_half_a_turn_of_a_symmetric_end_is_the_same_rotamer() -> None:
    token = torch.tensor(ONE_TO_TOKEN["F"])
    angle = torch.tensor([-1.1, 1.4, 0.0, 0.0], dtype=torch.float64)
    other = angle + torch.tensor([0.0, math.pi, 0.0, 0.0])
    table = rotamers()
    assert table.number(cos_sin(angle), token) == table.number(cos_sin(other), token)
    token = torch.tensor(ONE_TO_TOKEN["N"])
    assert table.number(cos_sin(angle), token) != table.number(cos_sin(other), token)


def test_commonest_rotamers_are_the_known_ones() -> None:
    """Val is trans in two of three, Leu mostly (-65°, 175°), Pro up or down."""
    table = rotamers()
    means = {
        one: table.mean[ONE_TO_TOKEN[one], table.commonest[ONE_TO_TOKEN[one]]].rad2deg()
        for one in "VLFT"
    }
    assert means["V"][0] == pytest.approx(177, abs=5)
    assert means["L"][:2].tolist() == pytest.approx([-65, 175], abs=5)
    assert means["F"][:2].tolist() == pytest.approx([-66, -85], abs=5)
