"""The atoms of PDB, mmCIF and BinaryCIF files, parsed by biotite."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from minifold_core.data.files import STRUCTURES_AS_TEXT, format_of, open_binary
from minifold_core.errors import RequestError

if TYPE_CHECKING:
    from biotite.structure import AtomArray

OPTIONAL_COLUMNS = {
    "label_alt_id": ".",
    "pdbx_PDB_ins_code": "?",
    "pdbx_PDB_model_num": "1",
    "occupancy": "1.0",
    "label_seq_id": ".",
}
"""Columns of ``atom_site`` that a file may lack, and the value they then have."""
PDB_NUMBERS = ((30, 38), (38, 46), (46, 54), (54, 60), (60, 66))
"""Columns of x, y, z, occupancy and B-factor in the atom records of a PDB file."""


def read_atoms(path: Path) -> tuple[AtomArray, int]:
    """All atoms of the first model of a structure file, and how many models it has.

    The atoms are in the order of the file, in all their conformers, with author's chain ids and
    residue numbers. They are annotated with ``altloc_id``, ``occupancy`` and ``label_seq_id``, the
    place in the sequence of the chain's entity ("." where there is none, as in a PDB file).

    Raises:
        RequestError: there is no such file, the format is none that is read, or the file has no
            atoms or cannot be parsed; one line.
    """
    kind = format_of(path)
    if kind == "mmtf":
        raise RequestError(f"{path}: MMTF is retired and not read; get the entry as BinaryCIF")
    if not path.is_file():
        raise RequestError(f"{path}: {'is a directory' if path.is_dir() else 'no such file'}")
    if kind not in ("pdb", "cif", "bcif"):
        raise RequestError(f"{path}: not a structure file; give {STRUCTURES_AS_TEXT}")
    with refusing_broken(path), warnings.catch_warnings(), open_binary(path) as file:
        warnings.simplefilter("ignore")
        atoms, models = _read_pdb(file) if kind == "pdb" else _read_pdbx(file, kind)
    if atoms is None:
        missing = "ATOM or HETATM record" if kind == "pdb" else "atom_site category"
        raise RequestError(f"{path}: no atoms (no {missing})")
    return atoms, models


@contextmanager
def refusing_broken(path: Path) -> Iterator[None]:
    """Whatever is raised on the bytes of a file, by foreign parsers too, is a bad file.

    Raises:
        RequestError: instead; one line with the causes that the parser gives.
    """
    try:
        yield
    except Exception as error:
        causes: list[str] = []
        cause: BaseException | None = error
        while cause is not None:
            causes.append(str(cause).strip().partition("\n")[0])
            cause = cause.__cause__ or cause.__context__
        why = ": ".join(filter(None, causes)) or "cut off or empty"
        kind = (format_of(path) or "structure").upper()
        raise RequestError(f"{path}: broken or no {kind} file ({why})") from error


def _read_pdb(file: BinaryIO) -> tuple[AtomArray | None, int]:
    from biotite.structure.io.pdb import PDBFile

    parsed = PDBFile.read(io.TextIOWrapper(file, encoding="utf-8", errors="replace"))
    models = parsed.get_model_count()
    if not models:
        return None, 0
    try:
        atoms = parsed.get_structure(
            model=1, altloc="all", extra_fields=["occupancy"], include_bonds=False
        )
    except ValueError as error:
        raise ValueError(_bad_line(parsed.lines)) from error
    atoms.set_annotation("label_seq_id", np.full(len(atoms), "."))
    return atoms, models


def _bad_line(lines: list[str]) -> str:
    """Which atom record is the first without its numbers, empty if none is; biotite says not."""
    for number, line in enumerate(lines, 1):
        if line.startswith(("ATOM", "HETATM")):
            try:
                for first, stop in PDB_NUMBERS:
                    float(line[first:stop])
            except ValueError:
                return f"line {number}"
    return ""


def _read_pdbx(file: BinaryIO, kind: str) -> tuple[AtomArray | None, int]:
    from biotite.structure.io.pdbx import (
        BinaryCIFFile,
        CIFFile,
        get_model_count,
        get_structure,
    )

    parsed: Any
    if kind == "bcif":
        parsed = BinaryCIFFile.read(file)
    else:
        parsed = CIFFile.read(io.TextIOWrapper(file, encoding="utf-8", errors="replace"))
    block = parsed[next(iter(parsed))]
    if "atom_site" not in block:
        return None, 0
    sites = block["atom_site"]
    for column, value in OPTIONAL_COLUMNS.items():
        if column not in sites:
            sites[column] = np.full(sites.row_count, value)
    atoms = get_structure(block, model=1, altloc="all", extra_fields=["occupancy", "label_seq_id"])
    return atoms, get_model_count(block)
