"""Packed chains as a map-style dataset, for training loops and for ``torch.utils.data``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minifold_core.data.embeddings import EmbeddingFile
from minifold_core.data.packfile import PackFile
from minifold_core.data.records import SPLITS, Chain
from minifold_core.errors import RequestError, did_you_mean

DEMO = "demo"
DEMO_PATH = Path(__file__).with_name("demo.safetensors")


class PackedDataset:
    """Some chains of a packed file, in the order of the file; ``dataset[i]`` reads one chain.

    Picklable: every worker process maps the file for itself.
    """

    def __init__(
        self, file: PackFile, rows: NDArray[np.int_], embeddings: EmbeddingFile | None = None
    ) -> None:
        self.file = file
        self.rows = rows
        self.embeddings = embeddings

    @classmethod
    def open(cls, path: Path | str) -> PackedDataset:
        """All chains of the packed file at ``path``.

        Raises:
            RequestError: no such file, not a packed dataset, a newer schema, or damaged.
        """
        file = PackFile(Path(path))
        return cls(file, np.arange(len(file)))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Chain:
        chain = self.file.chain(int(self.rows[index]))
        if self.embeddings is None:
            return chain
        return replace(chain, embeddings=self.embeddings.read(chain.name))

    def __iter__(self) -> Iterator[Chain]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The chains' names."""
        return tuple(self.file.names[row] for row in self.rows)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[N] residues of each chain."""
        return np.diff(self.file.offsets)[self.rows]

    @property
    def splits(self) -> dict[str, int]:
        """How many chains each split has, zero included."""
        counts = np.bincount(self.file.split[self.rows], minlength=len(SPLITS))
        return dict(zip(SPLITS, counts.tolist(), strict=True))

    @property
    def has_cath(self) -> bool:
        """Whether any chain here has a CATH label."""
        return any(self.file.cath[row] for row in self.rows)

    def subset(self, split: str) -> PackedDataset:
        """The chains of one split.

        Raises:
            RequestError: the split is unknown or has no chain here.
        """
        if split not in SPLITS:
            raise RequestError(f"unknown split '{split}'; {did_you_mean(split, SPLITS)}")
        chosen = self.rows[self.file.split[self.rows] == SPLITS.index(split)]
        if not len(chosen):
            have = ", ".join(f"{n} {name}" for name, n in self.splits.items() if n) or "none"
            raise RequestError(f"{self.file.path}: no {split} chain (it has {have})")
        return PackedDataset(self.file, chosen, self.embeddings)

    def library_for(self, split: str) -> PackedDataset:
        """Where the floors of a split learn what proteins look like: the training chains.

        Relatives of the chains may be in their own split, so all chains serve only where there is
        no other.
        """
        return self.subset("train") if split != "train" and self.splits["train"] else self

    def with_embeddings(
        self, embeddings: EmbeddingFile | None, splits: Sequence[str] = SPLITS
    ) -> PackedDataset:
        """The same chains with their embeddings, which are read chain by chain when asked for.

        Raises:
            RequestError: a chain of one of the ``splits`` has none, or too many or few rows, or
                numbers that are not finite.
        """
        if embeddings is not None:
            chains = zip(self.names, self.lengths.tolist(), self.file.split[self.rows], strict=True)
            embeddings.check((name, n) for name, n, split in chains if SPLITS[split] in splits)
        return PackedDataset(self.file, self.rows, embeddings)

    def __str__(self) -> str:
        """Such as ``built-in demo set (20 chains: 17 train, 3 validation)``."""
        what = "built-in demo set" if self.file.path == DEMO_PATH else str(self.file.path)
        parts = ", ".join(f"{count} {split}" for split, count in self.splits.items() if count)
        return f"{what} ({len(self)} chains: {parts})"


def open_dataset(source: Path | str = DEMO) -> PackedDataset:
    """The packed dataset at a path, or the built-in demo set for ``"demo"``.

    Raises:
        RequestError: see :meth:`PackedDataset.open`.
    """
    return PackedDataset.open(DEMO_PATH if str(source) == DEMO else source)
