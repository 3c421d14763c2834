"""Backbones of structure files."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from biotite.structure import AtomArray, filter_amino_acids, get_residue_starts
from biotite.structure.io import pdb, pdbx

from minifold_core.batch import ProteinBatch
from minifold_core.data.breaks import residue_index
from minifold_core.data.files import format_of, open_binary
from minifold_core.errors import RequestError
from minifold_core.residues import BACKBONE_ATOMS, THREE_TO_ONE, encode

ONE_LETTER = THREE_TO_ONE | {"MSE": "M"}
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
    """

    atoms: AtomArray
    starts: np.ndarray
    letters: str
    xyz: np.ndarray
    known: np.ndarray
    index: np.ndarray

    @property
    def packable(self) -> np.ndarray:
        """[L] whether a residue's N, Cα and C, and its kind, are known."""
        return self.known[:, :3].all(-1) & np.array(
            [letter != "X" for letter in self.letters], bool
        )

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

    Raises:
        RequestError: it cannot be read, or no residue has N, Cα and C; one line.
    """
    kind = format_of(path)
    if kind not in ("pdb", "cif", "bcif"):
        raise RequestError(f"{path}: no structure file; give a PDB, mmCIF or BinaryCIF file")
    try:
        with warnings.catch_warnings(), open_binary(path) as file:
            warnings.simplefilter("ignore")
            atoms = _parse(file, kind)
    except Exception as error:  # a foreign parser on any bytes: whatever it raises is a bad file
        cause = str(error).strip().partition("\n")[0] or "cut off or empty"
        raise RequestError(f"{path}: broken or no {kind.upper()} file ({cause})") from error
    protein = filter_amino_acids(atoms) & (~atoms.hetero | (atoms.res_name == "MSE"))
    atoms = atoms[protein & ~np.isin(atoms.element, ("H", "D")) & np.isfinite(atoms.coord).all(-1)]
    found = _residues(atoms)
    if not found.packable.any():
        raise RequestError(f"{path}: no residue with N, CA and C: there is no backbone to pack")
    return found


def _parse(file: Any, kind: str) -> AtomArray:
    if kind == "bcif":
        return pdbx.get_structure(pdbx.BinaryCIFFile.read(file), model=1)
    text = io.TextIOWrapper(file, encoding="utf-8", errors="replace")
    if kind == "cif":
        return pdbx.get_structure(pdbx.CIFFile.read(text), model=1)
    return pdb.PDBFile.read(text).get_structure(model=1, include_bonds=False)


def _residues(atoms: AtomArray) -> Backbone:
    starts = get_residue_starts(atoms, add_exclusive_stop=True) if len(atoms) else np.zeros(1, int)
    length = len(starts) - 1
    xyz, known = np.zeros((length, 4, 3), np.float32), np.zeros((length, 4), bool)
    for row in range(length):
        part = atoms[starts[row] : starts[row + 1]]
        for place, name in enumerate(BACKBONE_ATOMS):
            (at,) = np.nonzero(part.atom_name == name)
            if len(at):
                xyz[row, place], known[row, place] = part.coord[at[0]], True
    letters = "".join(ONE_LETTER.get(name, "X") for name in atoms.res_name[starts[:-1]].tolist())
    index = np.zeros(length, np.int64)
    chains, last = atoms.chain_id[starts[:-1]], -BETWEEN_CHAINS
    for chain in dict.fromkeys(chains.tolist()):
        own = chains == chain
        places = residue_index(xyz[own], known[own], atoms.res_id[starts[:-1]][own])
        index[own] = last + BETWEEN_CHAINS + places
        last = int(index[own].max())
    return Backbone(atoms, starts, letters, xyz, known, index)
