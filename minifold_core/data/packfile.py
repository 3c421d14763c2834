"""The packed format: one safetensors file, ragged arrays end to end, memory-mapped when read.

======================  =========  =====================================================
tensor                  shape      content
======================  =========  =====================================================
``tokens``              [T] u8     residue ids of all chains, one after another
``residue_index``       [T] i32    position along the chain
``backbone``            [T,4,3]    N, Cα, C, O in Å, f32, zero where unknown
``backbone_mask``       [T] u8     bit k: backbone atom k is known
``sidechain``           [S,3]      the known side-chain atoms in Å, f32
``sidechain_mask``      [T] u16    bit k: side-chain atom k is known
``offsets``             [N+1] i64  where each chain's residues begin
``sidechain_offsets``   [N+1] i64  where each chain's side-chain atoms begin
``split``               [N] u8     index into ``records.SPLITS``
``names``               [.] u8     N names, UTF-8, joined by line feeds; likewise
``cath``, ``provenance``           labels (joined by spaces) and sources
``rejected``            [.] u8     name, reason and detail of what was left out, by tabs
======================  =========  =====================================================

The header's ``minifold`` entry is JSON: the schema number and a summary.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minifold_core.data.files import format_of
from minifold_core.data.records import SPLITS, Chain, Rejection
from minifold_core.errors import RequestError
from minifold_core.residues import MAX_SIDECHAIN_ATOMS, UNK, VOCABULARY_SIZE, decode

SCHEMA = 1
HEADER_KEY = "minifold"
LAYOUT = {
    "tokens": ("U8", []),
    "residue_index": ("I32", []),
    "backbone": ("F32", [4, 3]),
    "backbone_mask": ("U8", []),
    "sidechain": ("F32", [3]),
    "sidechain_mask": ("U16", []),
    "offsets": ("I64", []),
    "sidechain_offsets": ("I64", []),
    "split": ("U8", []),
    "names": ("U8", []),
    "cath": ("U8", []),
    "provenance": ("U8", []),
    "rejected": ("U8", []),
}
"""Data type, as safetensors names it, and trailing shape of every tensor."""


def to_bits(mask: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """[L, K] flags as [L] integers, flag k in bit k."""
    return (mask.astype(np.uint16) << np.arange(mask.shape[1], dtype=np.uint16)).sum(
        1, dtype=np.uint16
    )


def from_bits(bits: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """The [L, width] flags of [L] integers; the inverse of :func:`to_bits`."""
    return (bits[:, None] >> np.arange(width, dtype=bits.dtype) & 1).astype(bool)


class PackFile:
    """An open packed file. Opening reads the tables; coordinates are read chain by chain.

    It pickles as its path: each process maps the file for itself.

    Attributes:
        path: the file.
        header: schema number and summary.
        names: N chain names.
        offsets, sidechain_offsets: [N+1] where each chain begins.
        split: [N] index into ``SPLITS``.
    """

    def __init__(self, path: Path) -> None:
        """Open and check ``path``.

        Raises:
            RequestError: no such file, not a packed dataset, a newer schema, or damaged.
        """
        self.path = path
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "no such file"
            raise RequestError(f"{path}: {what}; make a packed dataset with 'minifold data pack'")
        try:
            from safetensors import safe_open

            self._file = safe_open(path, framework="numpy")
            self.header = self._read_header()
            self._check_layout()
            self.offsets: NDArray[np.int64] = self._file.get_tensor("offsets")
            self.sidechain_offsets: NDArray[np.int64] = self._file.get_tensor("sidechain_offsets")
            self.split: NDArray[np.uint8] = self._file.get_tensor("split")
            self.names = self._lines("names")
        except RequestError:
            raise
        except Exception as error:  # arbitrary bytes: whatever they make the parser raise
            raise self.damaged(str(error) or type(error).__name__) from error
        self._check_tables()

    def __reduce__(self) -> tuple[type[PackFile], tuple[Path]]:
        return PackFile, (self.path,)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def cath(self) -> list[str]:
        """N lines of CATH labels, joined by spaces."""
        return self._table("cath")

    @cached_property
    def provenance(self) -> list[str]:
        """N sources."""
        return self._table("provenance")

    @property
    def rejected(self) -> list[Rejection]:
        """What was left out when the file was packed."""
        rows = [line.split("\t") for line in self._lines("rejected") if line]
        if any(len(row) != 3 for row in rows):
            raise self.damaged("its list of rejections is broken")
        return [Rejection(*row) for row in rows]

    def column(self, name: str) -> NDArray[Any]:
        """A whole tensor of :data:`LAYOUT`."""
        return self._file.get_tensor(name)

    def chain(self, row: int) -> Chain:
        """Read one chain.

        Raises:
            RequestError: its bytes are no chain.
        """
        residues = slice(*self.offsets[row : row + 2].tolist())
        atoms = slice(*self.sidechain_offsets[row : row + 2].tolist())
        tokens, index, backbone, bits, side_bits = (
            self._file.get_slice(name)[residues]
            for name in ("tokens", "residue_index", "backbone", "backbone_mask", "sidechain_mask")
        )
        known = from_bits(side_bits, MAX_SIDECHAIN_ATOMS)
        side = self._file.get_slice("sidechain")[atoms] if atoms.start < atoms.stop else None
        sound = (
            np.isfinite(backbone).all()
            and (side is None or np.isfinite(side).all())
            and known.sum() == atoms.stop - atoms.start
            and (np.diff(index) > 0).all()
            and ((tokens >= UNK) & (tokens < VOCABULARY_SIZE)).all()
        )
        if not sound:
            raise self.damaged(f"chain '{self.names[row]}' is not readable")
        sidechain = None
        if side is not None:
            sidechain = np.zeros((*known.shape, 3), np.float32)
            sidechain[known] = side
        return Chain(
            name=self.names[row],
            sequence=decode(tokens.tolist()),
            residue_index=index,
            backbone=backbone,
            backbone_mask=from_bits(bits, 4),
            sidechain=sidechain,
            sidechain_mask=None if side is None else known,
            cath=tuple(self.cath[row].split()),
            split=SPLITS[self.split[row]],
            provenance=self.provenance[row],
        )

    def damaged(self, why: str) -> RequestError:
        """The error of a file whose content is not what it should be."""
        if format_of(self.path):
            return RequestError(
                f"{self.path}: a structure file, not a packed dataset; minifold data pack "
                f"{quote(str(self.path))} --out mine.safetensors makes one"
            )
        return RequestError(f"{self.path}: not a sound packed dataset ({why}); pack it again")

    def _read_header(self) -> dict[str, Any]:
        header = json.loads((self._file.metadata() or {}).get(HEADER_KEY, "{}"))
        schema = header.get("schema")
        if not isinstance(schema, int):
            raise self.damaged("minifold did not write it")
        if schema > SCHEMA:
            raise RequestError(
                f"{self.path}: packed with schema {schema}, this minifold reads up to {SCHEMA}; "
                "upgrade minifold or pack the structures again"
            )
        return header

    def _check_layout(self) -> None:
        """Every tensor is there with its type and shape, and the per-residue ones agree."""
        lengths = {}
        for name, (dtype, trailing) in LAYOUT.items():
            tensor = self._file.get_slice(name)
            lengths[name], *rest = tensor.get_shape()
            if tensor.get_dtype() != dtype or rest != trailing:
                raise self.damaged(f"tensor '{name}' has the wrong type or shape")
        per_residue = ("tokens", "residue_index", "backbone", "backbone_mask", "sidechain_mask")
        per_chain = (lengths["split"] + 1, lengths["offsets"], lengths["sidechain_offsets"])
        if len({lengths[name] for name in per_residue}) > 1 or len(set(per_chain)) > 1:
            raise self.damaged("its tensors differ in length")
        self._ends = (lengths["tokens"], lengths["sidechain"])

    def _check_tables(self) -> None:
        """Offsets run from 0 to the end, names are as many as chains and differ, splits exist."""
        residues, atoms = np.diff(self.offsets), np.diff(self.sidechain_offsets)
        starts = (self.offsets[0], self.sidechain_offsets[0])
        ends = (self.offsets[-1], self.sidechain_offsets[-1])
        if (residues < 1).any() or (atoms < 0).any() or starts != (0, 0) or ends != self._ends:
            raise self.damaged("its offsets are inconsistent")
        if len(self.names) != len(self.split) or len(set(self.names)) < len(self.names):
            raise self.damaged("its names are inconsistent")
        if (self.split >= len(SPLITS)).any():
            raise self.damaged("its splits are inconsistent")

    def _table(self, name: str) -> list[str]:
        try:
            lines = self._lines(name)
        except UnicodeDecodeError as error:
            raise self.damaged(f"table '{name}' is broken") from error
        if len(lines) != len(self):
            raise self.damaged(f"table '{name}' is broken")
        return lines

    def _lines(self, name: str) -> list[str]:
        return self._file.get_tensor(name).tobytes().decode().split("\n")
