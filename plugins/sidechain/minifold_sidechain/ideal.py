"""Ideal side chains as tables over residue tokens, from wwPDB's chemical component dictionary.

``ideal.json`` holds its coordinates and bonds as biotite gives them, with the bond lengths and
angles outside rings that crystals have (``scripts/make_ideal.py``). A *rigid group* is what turns
together: the group of χk holds the atoms behind its axis and moves with every χ up to k
(AlphaFold 2, suppl. 1.8 and Algorithm 24). Group 0 is Cβ, which no χ moves.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.angles import dihedral
from minifold_core.geometry.frames import gram_schmidt
from minifold_core.residues import (
    BACKBONE_ATOMS,
    MAX_SIDECHAIN_ATOMS,
    ONE_TO_TOKEN,
    SIDECHAIN_ATOMS,
    VOCABULARY_SIZE,
)
from minifold_sidechain.config import CHIS

GROUPS = 1 + CHIS

CHI_ENDS: dict[str, tuple[str, ...]] = {
    "A": (), "C": ("SG",), "D": ("CG", "OD1"), "E": ("CG", "CD", "OE1"), "F": ("CG", "CD1"),
    "G": (), "H": ("CG", "ND1"), "I": ("CG1", "CD1"), "K": ("CG", "CD", "CE", "NZ"),
    "L": ("CG", "CD1"), "M": ("CG", "SD", "CE"), "N": ("CG", "OD1"), "P": ("CG", "CD"),
    "Q": ("CG", "CD", "OE1"), "R": ("CG", "CD", "NE", "CZ"), "S": ("OG",), "T": ("OG1",),
    "V": ("CG1",), "W": ("CG", "CD1"), "Y": ("CG", "CD1"),
}  # fmt: skip
"""The last atom of χ1, χ2, ...; the three before it are N, Cα, Cβ, then those ends themselves.

IUPAC-IUB 1970; the first branch decides (CG1 of Ile and Val, OG1 of Thr)."""

PERIODIC: dict[str, int] = {"D": 1, "E": 2, "F": 1, "Y": 1}
"""The torsion (from 0) of a residue that is the same after half a turn: what ends it are two atoms
that differ in name alone."""
SWAPS: dict[str, tuple[tuple[str, str], ...]] = {
    "D": (("OD1", "OD2"),),
    "E": (("OE1", "OE2"),),
    "F": (("CD1", "CD2"), ("CE1", "CE2")),
    "R": (("NH1", "NH2"),),
    "Y": (("CD1", "CD2"), ("CE1", "CE2")),
}
"""Atoms that differ in name alone. Those of Arg have an order (NH1 is next to CD), which 6 % of the
residues of the full-atom set do not keep."""


class Tables(NamedTuple):
    """Tensors whose first axis is the residue token; zeros where a residue has no such thing.

    Attributes:
        atom_mask: [V, 10] which side-chain atoms a residue has.
        chi_mask: [V, 4] which torsions it has.
        periodic: [V, 4] which of them are the same after half a turn.
        chi_atoms: [V, 4, 4] the four atoms of each torsion, as places in N, Cα, C, O, side chain.
        group: [V, 10] the rigid group of each atom, 0 to 4.
        position: [V, 10, 3] where it lies in the frame of its group, in ångström; Cβ in the frame
            halfway between N and C.
        turn, shift: [V, 5, 3, 3] and [V, 5, 3], each group's frame at χ = 0 in that of the group
            before; those of group 0 and of χ1 are unused, since real atoms make their frames.
        swap: [V, 10] the place of the atom that differs from an atom in name alone, else its own.
        separation: [V, 14, 14] bonds between two atoms of a residue, large where there are none.
        element: [V, 14] index into :data:`ELEMENTS`.
    """

    atom_mask: Tensor
    chi_mask: Tensor
    periodic: Tensor
    chi_atoms: Tensor
    group: Tensor
    position: Tensor
    turn: Tensor
    shift: Tensor
    swap: Tensor
    separation: Tensor
    element: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> Tables:
        """The tables on a device, numbers with a fraction in ``dtype``."""
        return Tables(*(x.to(device, dtype if x.is_floating_point() else None) for x in self))


ELEMENTS = "CNOS"
SLOTS = len(BACKBONE_ATOMS) + MAX_SIDECHAIN_ATOMS
APART = 99
"""Bonds between atoms that are not there."""


@cache
def tables() -> Tables:
    """The tables, in float64 on the CPU."""
    entries = json.loads(files(__package__).joinpath("ideal.json").read_text())
    v, a = VOCABULARY_SIZE, MAX_SIDECHAIN_ATOMS
    made = Tables(
        atom_mask=torch.zeros(v, a, dtype=torch.bool),
        chi_mask=torch.zeros(v, CHIS, dtype=torch.bool),
        periodic=torch.zeros(v, CHIS, dtype=torch.bool),
        chi_atoms=torch.zeros(v, CHIS, 4, dtype=torch.long),
        group=torch.zeros(v, a, dtype=torch.long),
        position=torch.zeros(v, a, 3, dtype=torch.float64),
        turn=torch.eye(3, dtype=torch.float64).repeat(v, GROUPS, 1, 1),
        shift=torch.zeros(v, GROUPS, 3, dtype=torch.float64),
        swap=torch.arange(a).repeat(v, 1),
        separation=torch.full((v, SLOTS, SLOTS), APART),
        element=torch.zeros(v, SLOTS, dtype=torch.long),
    )
    for one, entry in entries.items():
        atoms = {name: torch.tensor(x, dtype=torch.float64) for name, x in entry["atoms"].items()}
        _fill(made, one, atoms, entry["bonds"])
        made.position[ONE_TO_TOKEN[one], 0] = torch.tensor(entry["cb"])
    return made


def chain_of(one: str) -> tuple[str, ...]:
    """N, Cα, Cβ and the ends of the torsions: χk turns about the bond from its k-th atom on."""
    return ("N", "CA", "CB", *CHI_ENDS[one])


def _fill(made: Tables, one: str, atoms: dict[str, Tensor], bonds: list[list[str]]) -> None:
    """Write one residue's rows."""
    token, side = ONE_TO_TOKEN[one], SIDECHAIN_ATOMS[one]
    places = {name: place for place, name in enumerate((*BACKBONE_ATOMS, *side))}
    chain, count = chain_of(one), len(CHI_ENDS[one])
    made.atom_mask[token, : len(side)] = True
    made.chi_mask[token, :count] = True
    if one in PERIODIC:
        made.periodic[token, PERIODIC[one]] = True
    for first, second in SWAPS.get(one, ()):
        i, j = side.index(first), side.index(second)
        made.swap[token, i], made.swap[token, j] = j, i
    for name, place in places.items():
        made.element[token, place] = ELEMENTS.index(name[0])
        for other, steps in steps_from(name, bonds).items():
            made.separation[token, place, places[other]] = steps
    for k in range(count):
        made.chi_atoms[token, k] = torch.tensor([places[name] for name in chain[k : k + 4]])

    groups = {name: _group(name, chain, bonds) for name in side}
    frames = [_frame(atoms["CA"], atoms["C"], atoms["N"])]
    for k in range(1, count + 1):
        before, start, end, last = (atoms[name] for name in chain[k - 1 : k + 3])
        origin, rotation = _frame(end, 2 * end - start, before)
        parent_origin, parent = frames[-1]
        made.turn[token, k] = parent.T @ rotation
        made.shift[token, k] = parent.T @ (origin - parent_origin)
        # The frame of the group itself is turned by the torsion that the ideal atoms have.
        chi = dihedral(before, start, end, last)
        frames.append((origin, rotation @ about_first(chi.cos(), chi.sin())))
    for slot, name in enumerate(side):
        origin, rotation = frames[groups[name]]
        made.group[token, slot] = groups[name]
        made.position[token, slot] = rotation.T @ (atoms[name] - origin)


def _frame(origin: Tensor, on_axis: Tensor, in_plane: Tensor) -> tuple[Tensor, Tensor]:
    return origin, gram_schmidt(origin, on_axis, in_plane)


def about_first(cosine: Tensor, sine: Tensor) -> Tensor:
    """[..., 3, 3] turns about the first axis by angles with those cosines and sines [...]."""
    one, zero = torch.ones_like(cosine), torch.zeros_like(cosine)
    rows = [(one, zero, zero), (zero, cosine, -sine), (zero, sine, cosine)]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _group(name: str, chain: tuple[str, ...], bonds: list[list[str]]) -> int:
    """The last torsion that moves an atom: the atom is beyond its axis, and not on it."""
    moved = 0
    for k, (start, end) in enumerate(pairwise(chain[1:-1]), start=1):
        without = [bond for bond in bonds if set(bond) not in ({start, end}, {"N", "CD"})]
        if name != end and name in steps_from(end, without):
            moved = k
    return moved


def steps_from(start: str, bonds: list[list[str]]) -> dict[str, int]:
    """Bonds from an atom to each that can be reached."""
    steps, edge = {start: 0}, [start]
    while edge:
        here = edge.pop(0)
        for bond in bonds:
            if here in bond:
                other = bond[1] if bond[0] == here else bond[0]
                if other not in steps:
                    steps[other] = steps[here] + 1
                    edge.append(other)
    return steps
