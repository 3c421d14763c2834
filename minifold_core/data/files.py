"""Finding input files by their suffixes and opening them, gzipped or not."""

from __future__ import annotations

from collections.abc import Iterable
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO, cast

from minifold_core.errors import RequestError

FORMATS = {
    ".pdb": "pdb",
    ".ent": "pdb",
    ".cif": "cif",
    ".mmcif": "cif",
    ".bcif": "bcif",
    ".jsonl": "jsonl",
    ".mmtf": "mmtf",
}
STRUCTURES_AS_TEXT = "PDB, mmCIF, BinaryCIF (plain or .gz)"
READ_AS_TEXT = f"{STRUCTURES_AS_TEXT} or a CATH chain_set.jsonl"


def format_of(path: Path) -> str | None:
    """The format that the suffix announces, or None; a final ``.gz`` does not count."""
    return FORMATS.get(Path(_without_gz(path.name)).suffix.lower())


def stem_of(path: Path) -> str:
    """The file's name without its format suffix and ``.gz``."""
    return Path(_without_gz(path.name)).stem


def open_binary(path: Path) -> BinaryIO:
    """The file's bytes, decompressed where the name ends in ``.gz``."""
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, GzipFile(path))
    return path.open("rb")


def find_inputs(inputs: Iterable[Path], readable: str = READ_AS_TEXT) -> list[tuple[Path, Path]]:
    """Every input file with its source; directories are searched, in sorted order.

    The source is what a splits file may lie beside: the argument for structure files, the file
    itself for a chain set.

    Files in a directory that no known suffix announces are passed over; a file that is named
    outright is taken whatever its suffix, so that what cannot be read is reported.

    Args:
        inputs: files and directories.
        readable: what the caller reads, in words for who gave something else.

    Raises:
        RequestError: an argument does not exist, or nothing was found.
    """
    given = list(inputs)
    found: dict[Path, Path] = {}
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and format_of(p))
        elif path.is_file():
            inside = [path]
        else:
            raise RequestError(f"{path}: no such file or directory; give {readable}")
        for file in inside:
            found.setdefault(file, file if format_of(file) == "jsonl" else path)
    if not found:
        places = ", ".join(map(str, given)) or "no input"
        raise RequestError(f"{places}: no structure file found; give {readable}")
    return list(found.items())


def _without_gz(name: str) -> str:
    return name[:-3] if name.lower().endswith(".gz") else name
