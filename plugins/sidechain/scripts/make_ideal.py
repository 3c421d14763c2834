"""Write ``ideal.json``: heavy atoms and bonds of the twenty residues.

Names, bonds and coordinates are those of the chemical component dictionary, as biotite gives them.
Its coordinates come from a force field, with tetrahedral angles (109.5°) where crystals have up to
116°, and an error near Cβ swings all that is behind it. So the place of Cβ, and the length and
angle of every bond outside rings, are medians over the training chains of a pack; torsions, rings
and chirality stay the dictionary's. Its Arg has NH1 and NH2 the wrong way round.

python scripts/make_ideal.py PACK
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import biotite.structure as struc
import biotite.structure.info as info
import numpy as np
import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.residues import AMINO_ACIDS, BACKBONE_ATOMS, ONE_TO_THREE, SIDECHAIN_ATOMS
from minifold_sidechain.geometry import bisector_frames
from minifold_sidechain.ideal import steps_from

OUT = Path(__file__).parents[1] / "minifold_sidechain" / "ideal.json"
Atoms = dict[str, np.ndarray]
Bonds = list[list[str]]


def main(pack: str) -> None:
    chains = [chain for chain in open_dataset(pack).subset("train") if chain.sidechain is not None]
    residues = {one: dictionary(one) for one in AMINO_ACIDS}
    found = measure(chains, residues)
    lines = []
    for one, (atoms, bonds) in residues.items():
        for path, length, angle in found[one]["bonds"]:
            attach(atoms, bonds, path, length, angle)
        entry: dict[str, Any] = {
            "atoms": {name: [round(float(x), 3) for x in at] for name, at in atoms.items()},
            "bonds": bonds,
            "cb": found[one]["cb"],
        }
        lines.append(f"  {json.dumps(one)}: {json.dumps(entry)}")
    OUT.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def dictionary(one: str) -> tuple[Atoms, Bonds]:
    """Ideal coordinates in ångström, and bonds."""
    molecule = info.residue(ONE_TO_THREE[one])
    names = molecule.atom_name.tolist()
    wanted = (*BACKBONE_ATOMS, *SIDECHAIN_ATOMS[one])
    bonds = {(names[i], names[j]) for i, j, _ in molecule.bonds.as_array().tolist()}
    atoms = {atom: molecule.coord[names.index(atom)].astype(float) for atom in wanted}
    if one == "R":
        atoms["NH1"], atoms["NH2"] = atoms["NH2"], atoms["NH1"]
    return atoms, sorted(list(pair) for pair in bonds if set(pair) <= set(wanted))


def outward(one: str, bonds: Bonds) -> list[tuple[str, str, str]]:
    """For every side-chain atom behind Cβ that is in no ring: the two before it, and itself."""
    bonds = [bond for bond in bonds if set(bond) != {"N", "CD"} or one != "P"]
    far = steps_from("CA", bonds)

    def before(atom: str) -> str:
        (near, *_) = [a for bond in bonds if atom in bond for a in bond if far[a] < far[atom]]
        return near

    found = []
    for last in SIDECHAIN_ATOMS[one]:
        if last == "CB":
            continue
        end = before(last)
        if end not in behind(bonds, end, last):
            found.append((before(end), end, last))
    return found


def behind(bonds: Bonds, end: str, last: str) -> list[str]:
    """The atoms that are still joined to ``last`` without its bond to ``end``."""
    return list(steps_from(last, [bond for bond in bonds if set(bond) != {end, last}]))


def measure(
    chains: list[Chain], residues: dict[str, tuple[Atoms, Bonds]]
) -> dict[str, dict[str, Any]]:
    """Per residue ``cb``, its place between N, Cα and C, and ``bonds``: path, Å, radians."""
    found = {}
    for one, (_, bonds) in residues.items():
        names = (*BACKBONE_ATOMS, *SIDECHAIN_ATOMS[one])
        xyz, known = zip(*(of_residue(chain, one, len(names)) for chain in chains), strict=True)
        x, there = np.concatenate(xyz), np.concatenate(known)
        at = {name: x[:, place] for place, name in enumerate(names)}
        here = {name: there[:, place] for place, name in enumerate(names)}
        measured = []
        for start, end, last in outward(one, bonds):
            whole = here[start] & here[end] & here[last]
            a, b, c = (at[name][whole] for name in (start, end, last))
            length = float(np.median(np.linalg.norm(c - b, axis=-1)))
            angle = float(np.median(struc.angle(a, b, c)))
            measured.append(((start, end, last), length, angle))
        cb = [0.0, 0.0, 0.0]
        if "CB" in at:
            whole = there[:, :3].all(-1) & here["CB"]
            backbone = torch.from_numpy(x[whole][:, :4]).double()
            local = torch.from_numpy(at["CB"][whole]).double() - backbone[:, 1]
            local = (local[:, None] @ bisector_frames(backbone)).squeeze(1)
            cb = [round(value, 3) for value in local.median(0).values.tolist()]
        found[one] = {"cb": cb, "bonds": measured}
    return found


def of_residue(chain: Chain, one: str, atoms: int) -> tuple[np.ndarray, np.ndarray]:
    """[N, A, 3] atoms of all residues of a kind, and which are known."""
    assert chain.sidechain is not None
    assert chain.sidechain_mask is not None
    rows = np.array([letter == one for letter in chain.sequence])
    x = np.concatenate([chain.backbone[rows], chain.sidechain[rows]], 1)
    known = np.concatenate([chain.backbone_mask[rows], chain.sidechain_mask[rows]], 1)
    return x[:, :atoms], known[:, :atoms]


def attach(
    atoms: Atoms, bonds: Bonds, path: tuple[str, str, str], length: float, angle: float
) -> None:
    """Bend and stretch the bond to the path's last atom, and move all that is behind it."""
    start, end, last = path
    moving = behind(bonds, end, last)
    axis = np.cross(atoms[start] - atoms[end], atoms[last] - atoms[end])
    turn = angle - float(struc.angle(atoms[start], atoms[end], atoms[last]))
    for name in moving:
        atoms[name] = struc.rotate_about_axis(atoms[name], axis, turn, support=atoms[end])
    bond = atoms[last] - atoms[end]
    for name in moving:
        atoms[name] = atoms[name] + bond * (length / np.linalg.norm(bond) - 1)


if __name__ == "__main__":
    main(sys.argv[1])
