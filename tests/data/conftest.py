"""Fixtures: small structures written to disk, and the real files where they are at hand."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from small_structures import Atom, make_chain, pdb_text

from minifold_core.data.records import Chain
from minifold_core.data.structures import read_structure

SHARED = Path(__file__).parents[3] / "shared"


@pytest.fixture
def read_atoms(tmp_path: Path) -> Callable[..., list[Chain]]:
    """Write models to a PDB file and read its chains back."""

    def read(*models: Sequence[Atom]) -> list[Chain]:
        path = tmp_path / "1abc.pdb"
        path.write_text(pdb_text(*models))
        return read_structure(path)

    return read


@pytest.fixture
def structures(tmp_path: Path) -> Path:
    """A directory of five small entries, one of them gzipped, and a file of another kind."""
    directory = tmp_path / "entries"
    directory.mkdir()
    kinds = ("ALA", "GLY", "SER", "LEU", "VAL")
    for i, residue in enumerate(kinds):
        text = pdb_text(make_chain(30 + i, residue=residue))
        if i:
            (directory / f"{i}abc.pdb").write_text(text)
        else:
            (directory / "0abc.pdb.gz").write_bytes(gzip.compress(text.encode()))
    (directory / "notes.txt").write_text("not a structure")
    return directory


@pytest.fixture
def shared() -> Path:
    """The real structures beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip(f"the real structures are not at {SHARED}")
    return SHARED
