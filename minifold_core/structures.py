"""Writing predicted structures as PDB, mmCIF or BinaryCIF files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from biotite.structure import AtomArray, AtomArrayStack, stack
from biotite.structure.io import pdb, pdbx
from torch import Tensor

from minifold_core.errors import MinifoldError, RequestError, did_you_mean
from minifold_core.files import atomic
from minifold_core.residues import (
    BACKBONE_ATOMS,
    MAX_SIDECHAIN_ATOMS,
    ONE_TO_THREE,
    SIDECHAIN_ATOMS,
)
from minifold_core.structure_headers import (
    CHAIN_ID,
    pdb_header,
    pdbx_categories,
    pdbx_confidence,
    polymer,
)

FORMATS = (".pdb", ".cif", ".bcif")
C_OXT = 1.25
"""Length of a carboxylate C-O bond in ångström (Engh & Huber 1991)."""
PDB_COORDINATES = (-999.999, 9999.999)
PLDDT = (0, 100)
PDB_LAST_RESIDUE = 9999
NO_CONFIDENCE = "B-factors are 0: there is no confidence to write."


def write_structure(
    path: Path | str,
    coords: Tensor | np.ndarray,
    sequence: str,
    residue_index: Tensor | np.ndarray | None = None,
    *,
    atoms: tuple[str, ...] = ("CA",),
    sidechain: Tensor | np.ndarray | None = None,
    plddt: Tensor | np.ndarray | None = None,
    name: str = "minifold",
    remarks: Sequence[str] = (),
) -> None:
    """Write one chain; the file appears complete or not at all.

    A trace of Cα atoms is written as just that. A full backbone gets its terminal oxygen OXT,
    which simulation programs ask for; with side chains all heavy atoms are there.

    Args:
        path: ends in ``.pdb``, ``.cif`` or ``.bcif``, which chooses the format.
        coords: [L, A, 3] in ångström, or [L, 3] for a single atom per residue.
        sequence: L one-letter codes; unknown ones become UNK.
        residue_index: [L] increasing positions along the chain, from 0; numbers in the file are one
            higher. Default 0 ... L-1.
        atoms: the A atom names, in the order of ``coords``.
        sidechain: [L, 10, 3] heavy side-chain atoms in ångström, in the order of
            :data:`~minifold_core.residues.SIDECHAIN_ATOMS`; those that a residue has are written
            behind its other atoms. Default none.
        plddt: [L] predicted lDDT of the residues, 0 to 100: the B-factors of their atoms and, but
            for PDB, the categories ``ma_qa_metric`` that viewers colour by. Default none: the
            B-factors are 0, and the header says why (:data:`NO_CONFIDENCE`).
        name: identifier of the entry; signs that a file format forbids become ``_``.
        remarks: sentences about the structure for the header: REMARK 6 of a PDB file,
            ``_struct.pdbx_model_details`` of the others.

    Raises:
        RequestError: the suffix is no known format.
        MinifoldError: shapes disagree, a number is not finite or does not fit the format's columns,
            a confidence is none, or the file cannot be written.
    """
    path = Path(path)
    xyz = _numbers(coords)
    xyz = xyz[:, None] if xyz.ndim == 2 else xyz
    index = _positions(path, sequence, residue_index)
    sure = None if plddt is None else _numbers(plddt)
    b = np.zeros(len(sequence)) if sure is None else sure
    remarks = [*remarks, NO_CONFIDENCE] if sure is None else remarks
    side = None if sidechain is None else _numbers(sidechain)
    model = _model(path, xyz, sequence, index, atoms, b, side)
    _write(path, model, sequence, index, name, remarks, sure)


def write_models(
    path: Path | str,
    coords: Tensor | np.ndarray,
    sequence: str,
    residue_index: Tensor | np.ndarray | None = None,
    *,
    name: str = "minifold",
    remarks: Sequence[str] = (),
) -> None:
    """Write several Cα traces of one chain as the models 1, 2, ... of one file.

    Args:
        path: as in :func:`write_structure`, and so are the other arguments and errors.
        coords: [K, L, 3] in ångström.
        sequence: L one-letter codes.
        residue_index: [L] increasing positions along the chain, from 0.
        name: identifier of the entry.
        remarks: sentences for the header.
    """
    path = Path(path)
    index, b = _positions(path, sequence, residue_index), np.zeros(len(sequence))
    models = [_model(path, x[:, None], sequence, index, ("CA",), b) for x in _numbers(coords)]
    _write(path, stack(models), sequence, index, name, [*remarks, NO_CONFIDENCE])


def _positions(path: Path, sequence: str, residue_index: Tensor | np.ndarray | None) -> np.ndarray:
    """[L] where the residues are along the chain, from 0; refuses a suffix that is no format."""
    if path.suffix not in FORMATS:
        raise RequestError(
            f"{path}: '{path.suffix}' is no structure format; {did_you_mean(path.suffix, FORMATS)}"
        )
    length = len(sequence)
    index = np.arange(length) if residue_index is None else _numbers(residue_index).astype(int)
    if (np.diff(index) <= 0).any():
        raise MinifoldError(f"{path}: residue positions do not increase along the chain")
    if path.suffix == ".pdb" and index.max(initial=0) >= PDB_LAST_RESIDUE:
        raise MinifoldError(f"{path}: residue {index[-1] + 1} does not fit a PDB file; use .cif")
    return index


def _model(
    path: Path,
    xyz: np.ndarray,
    sequence: str,
    index: np.ndarray,
    atoms: tuple[str, ...],
    b: np.ndarray,
    sidechain: np.ndarray | None = None,
) -> AtomArray:
    """Atoms at ``xyz`` [L, A, 3] and ``sidechain`` [L, 10, 3], if ``path`` can hold them."""
    length = len(sequence)
    if length == 0 or xyz.shape != (length, len(atoms), 3) or {len(index), len(b)} != {length}:
        raise MinifoldError(
            f"{path}: {length} residues of {len(atoms)} atoms do not agree with coordinates "
            f"{xyz.shape}, {len(index)} residue positions and {len(b)} confidences"
        )
    names = np.tile(np.array(atoms, "U4"), (length, 1))
    if sidechain is not None:
        side = _sidechain_names(sequence)
        if sidechain.shape != (*side.shape, 3):
            raise MinifoldError(
                f"{path}: side chains {sidechain.shape} do not agree with {length} residues of "
                f"{MAX_SIDECHAIN_ATOMS} atoms"
            )
        there = np.where((side != "")[..., None], sidechain, 0)
        xyz, names = np.concatenate([xyz, there], 1), np.concatenate([names, side], 1)
    low, high = PDB_COORDINATES if path.suffix == ".pdb" else (-np.inf, np.inf)
    fits = "does not fit a PDB file; use .cif"
    _check_numbers(path, "coordinate", xyz.reshape(length, -1), (low, high), fits)
    _check_numbers(path, "pLDDT", b[:, None], PLDDT, "is not between 0 and 100")
    return _atom_array(xyz, names, sequence, index + 1, b)


def _sidechain_names(sequence: str) -> np.ndarray:
    """[L, 10] names of heavy side-chain atoms, empty where a residue has none."""
    names = np.zeros((len(sequence), MAX_SIDECHAIN_ATOMS), "U4")
    for row, code in enumerate(sequence.upper()):
        own = SIDECHAIN_ATOMS.get(code, ())
        names[row, : len(own)] = own
    return names


def _numbers(values: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def _check_numbers(
    path: Path, what: str, values: np.ndarray, limits: tuple[float, float], beyond: str
) -> None:
    """Name the first residue with a number in ``values`` [L, K] that cannot be written."""
    low, high = limits
    for fault, wrong in (
        ("is not finite", ~np.isfinite(values)),
        (beyond, (values < low) | (values > high)),
    ):
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise MinifoldError(
                f"{path}: {what} {values[row, column]:g} of residue {row + 1} {fault}"
            )


def _atom_array(
    xyz: np.ndarray, names: np.ndarray, sequence: str, numbers: np.ndarray, b: np.ndarray
) -> AtomArray:
    """Atoms at ``xyz`` [L, A, 3] called ``names`` [L, A]; those without a name are left out."""
    residue, column = np.nonzero(names != "")
    flat, called = xyz[residue, column], names[residue, column]
    last = names[-1].tolist()
    if set(BACKBONE_ATOMS) <= set(last):
        ca, c, o = (xyz[-1, last.index(atom)] for atom in ("CA", "C", "O"))
        flat = np.vstack([flat, _terminal_oxygen(ca, c, o)])
        residue, called = np.append(residue, len(sequence) - 1), np.append(called, "OXT")
    array = AtomArray(len(flat))
    array.coord = flat.round(3).astype(np.float32)
    array.chain_id[:] = CHAIN_ID
    array.res_id = numbers[residue]
    array.res_name = np.array([ONE_TO_THREE.get(code, "UNK") for code in sequence.upper()])[residue]
    array.atom_name = called
    array.element = np.array([atom[0] for atom in called])
    array.set_annotation("b_factor", b[residue].round(2))
    array.set_annotation("occupancy", np.ones(len(flat)))
    return array


def _terminal_oxygen(ca: np.ndarray, c: np.ndarray, o: np.ndarray) -> np.ndarray:
    """[1, 3] the second carboxylate oxygen: in the plane of Cα, C and O, opposite to both."""
    bonds = np.stack([ca - c, o - c])
    bonds /= np.linalg.norm(bonds, axis=-1, keepdims=True).clip(min=1e-6)
    away = -bonds.sum(0)
    return (c + C_OXT * away / max(float(np.linalg.norm(away)), 1e-6))[None]


def _write(
    path: Path,
    atoms: AtomArray | AtomArrayStack,
    sequence: str,
    index: np.ndarray,
    name: str,
    remarks: Sequence[str],
    plddt: np.ndarray | None = None,
) -> None:
    name = re.sub(r"[^A-Za-z0-9.+-]", "_", name) or "_"
    residues = polymer(sequence, index)
    file: Any
    if path.suffix == ".pdb":
        file = pdb.PDBFile()
        file.set_structure(atoms)
        header = pdb_header(name, remarks, residues)
        file.lines = [*header, *_terminated(file.lines, atoms), "END"]
    else:
        about = pdbx_categories(name, remarks, residues)
        if plddt is not None:
            about |= pdbx_confidence(plddt, residues, index)
        binary = path.suffix == ".bcif"
        category = pdbx.BinaryCIFCategory if binary else pdbx.CIFCategory
        block = pdbx.BinaryCIFBlock if binary else pdbx.CIFBlock
        kind = pdbx.BinaryCIFFile if binary else pdbx.CIFFile
        file = kind({name: block({key: category(table) for key, table in about.items()})})
        pdbx.set_structure(file, atoms)
        sites = file.block["atom_site"]
        # Where in entity_poly_seq; biotite repeats the residue number here.
        sites["label_seq_id"] = np.resize(atoms.res_id - index[0], sites.row_count)
    with atomic(path) as unfinished:
        file.write(str(unfinished))


def _terminated(lines: list[str], atoms: AtomArray | AtomArrayStack) -> list[str]:
    """The atoms' lines, with TER behind the chain of every model."""
    last = f"{atoms.res_name[-1]:>3} {CHAIN_ID}{atoms.res_id[-1]:4}"
    end = f"TER   {atoms.array_length() + 1:5}      {last}"
    if isinstance(atoms, AtomArray):
        return [*lines, end]
    return [new for line in lines for new in ([end, line] if line == "ENDMDL" else [line])]
