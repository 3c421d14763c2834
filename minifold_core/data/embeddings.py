"""Precomputed per-residue embeddings: a safetensors file with a tensor for each chain."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minifold_core.errors import RequestError
from minifold_core.weights.layout import read_layout

TYPES = {"F16": "float16", "F32": "float32"}
START_AND_END = (1, 2)
"""Rows that language models add to those of the residues."""


class EmbeddingFile:
    """Embeddings by chain name. Opening reads the table of contents; rows are read chain by chain.

    It pickles as its path: each process maps the file for itself.

    Attributes:
        path: the file.
        rows: chain name to the number of its rows.
        width: features of a residue, the same for all chains.
    """

    def __init__(self, path: Path) -> None:
        """Open and check ``path``.

        Raises:
            RequestError: it is no safetensors file, or holds something else than embeddings of one
                width.
        """
        self.path = path
        tensors = read_layout(path, "safetensors").tensors
        for name, tensor in tensors.items():
            if tensor.dtype not in TYPES or len(tensor.shape) != 2 or 0 in tensor.shape:
                raise RequestError(
                    f"{path}: '{name}' is {tensor.dtype} {list(tensor.shape)}; embeddings are "
                    f"[residues, width] in {' or '.join(TYPES.values())}"
                )
        widths = {tensor.shape[1]: name for name, tensor in tensors.items()}
        if len(widths) != 1:
            found = " and ".join(f"'{name}' {width} wide" for width, name in widths.items())
            raise RequestError(f"{path}: {found or 'no tensor'}; all chains need one width")
        self.rows = {name: tensor.shape[0] for name, tensor in tensors.items()}
        self.width = next(iter(widths))

    def __reduce__(self) -> tuple[type[EmbeddingFile], tuple[Path]]:
        return EmbeddingFile, (self.path,)

    def check(self, lengths: Iterable[tuple[str, int]]) -> None:
        """Check that the chains named have a finite row for each of their residues.

        Their rows are read, one chain at a time: what trains on them hashes the file anyway.

        Raises:
            RequestError: chains are missing, or one has another number of rows, or a number that is
                not finite.
        """
        wanted = dict(lengths)
        if missing := [name for name in wanted if name not in self.rows]:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise RequestError(
                f"{self.path} lacks {len(missing)} of {len(wanted)} chains: {shown}; its keys must "
                f"be chain names (the first is '{next(iter(self.rows))}')"
            )
        for name, length in wanted.items():
            more = self.rows[name] - length
            if more:
                hint = "; leave out the rows of start and end tokens (BOS, EOS)"
                raise RequestError(
                    f"{self.path}: '{name}' has {self.rows[name]} rows and the chain {length} "
                    f"residues{hint if more in START_AND_END else ''}"
                )
        for name in wanted:
            self.read(name)

    def read(self, name: str) -> NDArray[Any]:
        """[L, e] embeddings of a chain, in the type in which they are stored.

        Raises:
            RequestError: the chain is missing, or a number is not finite.
        """
        if name not in self.rows:
            self.check([(name, 0)])
        rows: NDArray[Any] = self._file.get_tensor(name)
        if not np.isfinite(rows).all():
            raise RequestError(
                f"{self.path}: '{name}' holds numbers that are not finite; float16 ends at 65504"
            )
        return rows

    @cached_property
    def _file(self) -> Any:
        from safetensors import safe_open

        return safe_open(self.path, framework="numpy")
