"""Backbones of structure files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from biotite.structure import AtomArray, CellList, filter_amino_acids, get_residue_starts

from minifold_core.batch import ProteinBatch
from minifold_core.data.atoms import read_atoms
from minifold_core.data.breaks import MAX_C_N, residue_index
from minifold_core.data.conformers import choose_conformers
from minifold_core.errors import RequestError
from minifold_core.residues import BACKBONE_ATOMS, ONE_LETTER, encode

BETWEEN_CHAINS = 1000
"""Places along the chain from the end of one chain to the beginning of the next."""


@dataclass(frozen=True)
class Backbone:
    """The residues of a structure.

    Attributes:
        atoms: all heavy atoms of its proteins.
        starts: [L + 1] where each residue begins.
        letters: L one-letter codes; X where the side chain is none of the twenty.
        xyz: [L, 4, 3] N, Cα, C, O in ångström, 0 where unknown.
        known: [L, 4] which of them are.
        index: [L] positions along the chains, one behind another.
        models: how many models the file has, of which this is the first.
    """

    atoms: AtomArray
    starts: np.ndarray
    letters: str
    xyz: np.ndarray
    known: np.ndarray
    index: np.ndarray
    models: int

    @property
    def packable(self) -> np.ndarray:
        """[L] whether a residue's N, Cα and C, and its kind, are known."""
        return self.known[:, :3].all(-1) & np.array(
            [letter != "X" for letter in self.letters], bool
        )

    @property
    def unpacked(self) -> list[str]:
        """The residues that are not packable, such as ``SEP B45``."""
        heads = (self.atoms[start] for start in self.starts[:-1][~self.packable])
        return [f"{x.res_name} {x.chain_id}{x.res_id}{x.ins_code}".strip() for x in heads]

    def batch(self) -> ProteinBatch:
        """The residues as a batch of one, on the CPU."""
        return ProteinBatch(
            tokens=torch.tensor([encode(self.letters)]),
            residue_index=torch.from_numpy(self.index)[None],
            backbone=torch.from_numpy(self.xyz)[None],
            backbone_mask=torch.from_numpy(self.known)[None],
            names=("structure",),
        )


def read_backbone(path: Path) -> Backbone:
    """The proteins of the first model of a structure file.

    A residue is part of a protein if it is an amino acid of an ATOM record or has a place in the
    sequence that the file states, or if a peptide bond holds it, as it does modified residues and
    caps in HETATM records. Each residue is in its conformer of highest occupancy.

    Raises:
        RequestError: it cannot be read, or no residue has N, Cα and C; one line.
    """
    atoms, models = read_atoms(path)
    heavy = ~np.isin(atoms.element, ("H", "D")) & np.isfinite(atoms.coord).all(-1)
    found = _residues(_of_proteins(choose_conformers(atoms[heavy])), models)
    if found.packable.any():
        return found
    if found.known[:, 1].any() and not found.known[:, [0, 2]].any():
        raise RequestError(
            f"{path}: of its residues only CA is there, and side chains stand on N, CA and C; "
            "minifold sample --rebuild builds them on what it samples"
        )
    if found.known[:, :3].all(-1).any():
        names = ", ".join(sorted(set(found.atoms.res_name.tolist()))[:5])
        raise RequestError(
            f"{path}: none of its residues is one of the twenty amino acids ({names}), and which "
            "atoms a side chain has is known of those alone; minifold sample --sequence names them"
        )
    raise RequestError(
        f"{path}: none of the twenty amino acids with N, CA and C: there is no backbone to pack"
    )


def _of_proteins(atoms: AtomArray) -> AtomArray:
    starts, xyz, known = _backbones(atoms)
    first = atoms[starts[:-1]]
    native = ~first.hetero | (first.res_name == "MSE") | np.char.isdigit(first.label_seq_id)
    kept = filter_amino_acids(first) & native
    kept[_bonded(xyz, known)] = True
    return atoms[np.repeat(kept, np.diff(starts))]


def _bonded(xyz: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The rows of residues whose C or N has another's N or C beside it, wherever that is listed."""
    with_n, with_c = np.flatnonzero(known[:, 0]), np.flatnonzero(known[:, 2])
    if not len(with_n) or not len(with_c):
        return np.zeros(0, int)
    near = CellList(xyz[with_n, 0], MAX_C_N).get_atoms(xyz[with_c, 2], MAX_C_N)
    c, place = np.nonzero(near >= 0)
    before, after = with_c[c], with_n[near[c, place]]
    return np.concatenate([before[before != after], after[before != after]])


def _backbones(atoms: AtomArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``starts``, ``xyz`` and ``known`` of all residues; see :class:`Backbone`."""
    starts = get_residue_starts(atoms, add_exclusive_stop=True) if len(atoms) else np.zeros(1, int)
    length = len(starts) - 1
    row = np.repeat(np.arange(length), np.diff(starts))
    xyz, known = np.zeros((length, 4, 3), np.float32), np.zeros((length, 4), bool)
    for place, name in enumerate(BACKBONE_ATOMS):
        at = np.flatnonzero(atoms.atom_name == name)
        xyz[row[at], place], known[row[at], place] = atoms.coord[at], True
    return starts, xyz, known


def _residues(atoms: AtomArray, models: int) -> Backbone:
    starts, xyz, known = _backbones(atoms)
    letters = "".join(ONE_LETTER.get(name, "X") for name in atoms.res_name[starts[:-1]].tolist())
    index = np.zeros(len(letters), np.int64)
    chains, last = atoms.chain_id[starts[:-1]], -BETWEEN_CHAINS
    for chain in dict.fromkeys(chains.tolist()):
        own = chains == chain
        places = residue_index(xyz[own], known[own], atoms.res_id[starts[:-1]][own])
        index[own] = last + BETWEEN_CHAINS + places
        last = int(index[own].max())
    return Backbone(atoms, starts, letters, xyz, known, index, models)
