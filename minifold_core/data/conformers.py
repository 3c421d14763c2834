"""One conformer per residue, where a structure file offers several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from biotite.structure import AtomArray

BLANK = ["", " ", ".", "?"]


def choose_conformers(atoms: AtomArray) -> AtomArray:
    """Each residue in its alternative location of highest summed occupancy, each atom once.

    A residue is what shares chain, number and insertion code: where the alternatives are
    different amino acids (microheterogeneity), one of them is chosen like any other conformer.
    Atoms without an alternative location belong to every conformer of their amino acid.

    Args:
        atoms: annotated with ``altloc_id`` and ``occupancy``.
    """
    keep = np.ones(len(atoms), bool)
    starts = np.flatnonzero(_residue_changes(atoms))
    stops = np.append(starts[1:], len(atoms))
    blank = np.isin(atoms.altloc_id, BLANK)
    for start, stop in zip(starts, stops, strict=True):
        names = atoms.atom_name[start:stop]
        if not blank[start:stop].all() or len(set(names.tolist())) < len(names):
            keep[start:stop] = _best(atoms[start:stop], blank[start:stop])
    return atoms[keep]


def _residue_changes(atoms: AtomArray) -> NDArray[np.bool_]:
    """[N] True where an atom begins a residue."""
    changes = np.ones(len(atoms), bool)
    changes[1:] = False
    for values in (atoms.chain_id, atoms.res_id, atoms.ins_code):
        changes[1:] |= values[1:] != values[:-1]
    return changes


def _best(residue: AtomArray, blank: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """[n] the atoms of the conformer to keep."""
    occupancy = residue.occupancy

    def total(conformer: tuple[str, str]) -> float:
        altloc, amino_acid = conformer
        chosen = (residue.altloc_id == altloc) & (residue.res_name == amino_acid)
        return float(occupancy[chosen].sum())

    lettered = ~blank if not blank.all() else blank
    pairs = zip(residue.altloc_id[lettered], residue.res_name[lettered], strict=True)
    altloc, amino_acid = max(sorted(set(pairs)), key=total)
    keep = (blank | (residue.altloc_id == altloc)) & (residue.res_name == amino_acid)
    order = sorted(np.flatnonzero(keep), key=lambda i: -occupancy[i])
    first = {residue.atom_name[i]: i for i in reversed(order)}
    once = np.zeros(len(keep), bool)
    once[list(first.values())] = True
    return once
