"""Structures as they are judged: chains of Cα atoms without gaps, perhaps with their backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minifold_core.console import Advance, note
from minifold_core.data.files import STRUCTURES_AS_TEXT, find_inputs
from minifold_core.data.limits import MIN_LENGTH, Limits
from minifold_core.data.reading import read_files
from minifold_core.data.records import Chain, Rejection
from minifold_core.errors import RequestError
from minifold_core.sample_files import TABLE, is_trajectory, listed_files

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Such as :func:`minifold_core.console.progress`: what is done, and in how many steps."""
LIMITS = Limits(min_length=MIN_LENGTH, max_length=10_000)
CAUSES = 3
"""Rejections, or directories, that a message lists."""


@dataclass(frozen=True, eq=False)
class Trace:
    """One chain of n residues whose Cα is known; neighbours in the array are neighbours in it.

    Attributes:
        name: the chain's name.
        source: the file of a sample, the entry of a natural chain.
        backbone: [n, 4, 3] N, Cα, C, O in ångström, float64.
        mask: [n, 4] which of those atoms are known; every Cα is.
    """

    name: str
    source: str
    backbone: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.backbone)

    @property
    def ca(self) -> Tensor:
        """[n, 3] Cα in ångström."""
        return self.backbone[:, 1]

    @classmethod
    def of(cls, chain: Chain, source: str) -> Trace:
        """The residues of a chain whose Cα is known."""
        known = chain.ca_mask
        backbone = torch.tensor(chain.backbone[known], dtype=torch.float64)
        return cls(chain.name, source, backbone, torch.tensor(chain.backbone_mask[known]))

    def window(self, start: int, stop: int) -> Trace:
        """The residues ``start`` to ``stop`` (exclusive)."""
        name = f"{self.name}[{start + 1}-{stop}]"
        return Trace(name, self.source, self.backbone[start:stop], self.mask[start:stop])


def read_samples(inputs: Sequence[Path]) -> tuple[list[Trace], list[Rejection]]:
    """Every chain of structure files, or of the files in directories, and what cannot be judged.

    Of a directory with a table of samples, those that it lists are read and no others.

    A distance between consecutive residues that no bond has stays in the trace as it is: in a
    sample it is a fault to be judged, not a residue that is missing.

    Raises:
        RequestError: an argument does not exist, a directory holds other samplings than its own,
            or nothing that was found can be judged.
    """
    samples, rejected = [], []
    files = [file for path in inputs for file in _one_sampling(path)]
    for path, _ in find_inputs(files, STRUCTURES_AS_TEXT):
        if is_trajectory(path):  # its models are steps on the way to a sample
            continue
        for read in read_files([path], LIMITS):
            if isinstance(read, Chain):
                samples.append(Trace.of(read, str(path)))
            else:
                rejected.append(read)
    if not samples:
        causes = [f"{each.name}: {each.detail}" for each in rejected[:CAUSES]]
        causes += ["..."] * (len(rejected) > CAUSES)
        raise RequestError(
            f"no structure of at least {MIN_LENGTH} residues to judge ({'; '.join(causes)})"
        )
    return samples, rejected


def _one_sampling(path: Path) -> Iterator[Path]:
    """The files of an argument's own table of samples; the argument itself if it has none.

    Tables below it are those of other samplings: the settings of a sweep, or the shuffled sequences
    of an evaluation. What they list is never pooled unasked.
    """
    if not path.is_dir():
        yield path
        return
    own = listed_files(path)
    others = sorted(each.parent for each in path.rglob(TABLE) if each.parent != path)
    others = [each for each in others if listed_files(each) is not None]
    names = [str(each.relative_to(path)) for each in others[:CAUSES]]
    names += ["..."] * (len(others) > CAUSES)
    if own is None:
        if others:
            raise RequestError(
                f"{path} holds other samplings, each with its own {TABLE} ({', '.join(names)}): "
                f"judge one, such as {others[0]}, or name all that belong together"
            )
        yield path
        return
    if not own:
        raise RequestError(f"{path / TABLE} lists no structure yet")
    if missing := [file for file in own if not file.is_file()]:
        raise RequestError(f"{path / TABLE} lists {missing[0].name}, which is not there")
    if others:
        note(f"note: left out, with a {TABLE} of its own: {', '.join(names)} in {path}")
    yield from own


def natural_traces(chains: Iterable[Chain]) -> list[Trace]:
    """The chains without a gap, the first of each entry and of each sequence."""
    seen: set[str] = set()
    traces = []
    for chain in chains:
        if len(chain) < MIN_LENGTH or not chain.whole or {chain.entry, chain.sequence} & seen:
            continue
        seen |= {chain.entry, chain.sequence}
        traces.append(Trace.of(chain, chain.entry))
    return traces
