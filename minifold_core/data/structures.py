"""Protein chains of PDB, mmCIF and BinaryCIF files, parsed by biotite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minifold_core.data.atoms import read_atoms, refusing_broken
from minifold_core.data.breaks import linked, residue_index
from minifold_core.data.conformers import choose_conformers
from minifold_core.data.files import stem_of
from minifold_core.data.records import Chain
from minifold_core.residues import (
    BACKBONE_ATOMS,
    MAX_SIDECHAIN_ATOMS,
    ONE_LETTER,
    SIDECHAIN_ATOMS,
)

if TYPE_CHECKING:
    from biotite.structure import AtomArray

ATOM_SLOTS = {
    (letter, atom): slot
    for letter, atoms in SIDECHAIN_ATOMS.items()
    for slot, atom in enumerate(BACKBONE_ATOMS + atoms)
} | {("M", "SE"): BACKBONE_ATOMS.index("O") + 1 + SIDECHAIN_ATOMS["M"].index("SD")}
"""Place of each heavy atom in a residue: backbone, then side chain; Se of MSE stands for SD."""
SLOTS = len(BACKBONE_ATOMS) + MAX_SIDECHAIN_ATOMS


def read_structure(path: Path) -> list[Chain]:
    """The protein chains of the first model of a structure file, in the order of the file.

    Chains are named ``ENTRY.CHAIN`` after the file and the author's chain id (``_`` where blank);
    a file already named ``ENTRY.CHAIN`` does not repeat it. Each residue takes its conformer of
    highest occupancy, selenomethionine is methionine, other modified residues are ``X``; DNA,
    water and ligands are no part of a chain.

    Raises:
        RequestError: see :func:`~minifold_core.data.atoms.read_atoms`.
    """
    atoms, _ = read_atoms(path)
    with refusing_broken(path):
        return chains_of(atoms, stem_of(path), path.name)


def chains_of(atoms: AtomArray, stem: str, provenance: str) -> list[Chain]:
    """The protein chains of one model; see :func:`read_structure`.

    Args:
        atoms: all atoms of the model, annotated with ``altloc_id``, ``occupancy`` and
            ``label_seq_id`` ("." where there is none).
        stem: name of the file without suffixes.
        provenance: what the chains say of their source.
    """
    from biotite.structure import filter_amino_acids

    atoms = atoms[filter_amino_acids(atoms)]
    if not len(atoms):
        return []
    atoms = choose_conformers(atoms)
    ids = dict.fromkeys(atoms.chain_id.tolist())
    read = (_chain(atoms[atoms.chain_id == i], _name(stem, i), provenance) for i in ids)
    return [chain for chain in read if len(chain)]


def _name(stem: str, chain_id: str) -> str:
    chain_id = chain_id.strip() or "_"
    name = stem if stem.endswith(f".{chain_id}") else f"{stem}.{chain_id}"
    return re.sub(r"\s", "_", name)


def _chain(atoms: AtomArray, name: str, provenance: str) -> Chain:
    """One chain from its amino-acid atoms; hetero residues count only where bonded in."""
    from biotite.structure import get_residue_starts

    starts = get_residue_starts(atoms)
    of_atom = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(atoms))))
    letters = [ONE_LETTER.get(three, "X") for three in atoms.res_name[starts].tolist()]
    coord, known = _scatter(atoms, of_atom, letters)

    bonded, _ = linked(coord[:, :4], known[:, :4])
    in_chain = ~atoms.hetero[starts]
    in_chain[1:] |= bonded
    in_chain[:-1] |= bonded
    labels = atoms.label_seq_id[starts]
    labelled = np.char.isdigit(labels)
    kept = np.flatnonzero(in_chain | labelled)

    coord, known = coord[kept], known[kept]
    numbers = labels[kept].astype(int) if labelled[kept].all() else atoms.res_id[starts][kept]
    side = known[:, 4:].any()
    return Chain(
        name=name,
        sequence="".join(letters[i] for i in kept),
        residue_index=residue_index(coord[:, :4], known[:, :4], numbers),
        backbone=coord[:, :4],
        backbone_mask=known[:, :4],
        sidechain=coord[:, 4:] if side else None,
        sidechain_mask=known[:, 4:] if side else None,
        provenance=provenance,
    )


def _scatter(
    atoms: AtomArray, of_atom: NDArray[np.int_], letters: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Coordinates [L, 14, 3] in ångström, and which are known [L, 14]."""
    names = atoms.atom_name.tolist()
    slots = np.array(
        [ATOM_SLOTS.get((letters[i], a), -1) for i, a in zip(of_atom, names, strict=True)], int
    )
    good = np.flatnonzero((slots >= 0) & np.isfinite(atoms.coord).all(-1))
    coord = np.zeros((len(letters), SLOTS, 3), np.float32)
    known = np.zeros((len(letters), SLOTS), bool)
    coord[of_atom[good], slots[good]] = atoms.coord[good]
    known[of_atom[good], slots[good]] = True
    return coord, known
