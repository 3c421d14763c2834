"""Samples as the model gave them, kept while an evaluation is unfinished.

Structure files have three decimals: what goes on after a stop has to score what it would have
scored without one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from minifold_core.folding import Fold, Target
from minifold_core.kept_tensors import keep_tensors, kept_tensors

PARTS = ("coords", "backbone", "sidechain", "plddt")


@dataclass(frozen=True)
class ExactSamples:
    """A file for each sample of one sampling.

    Attributes:
        directory: of the files; made when there is one.
    """

    directory: Path

    def keep(self, done: Fold) -> None:
        """Write a sample, without its trajectory.

        Raises:
            MinifoldError: it cannot be written.
        """
        parts = {name: getattr(done, name) for name in PARTS}
        tensors = {name: each for name, each in parts.items() if each is not None}
        keep_tensors(self._path(done.target, done.copy), tensors, {"seconds": done.seconds})

    def kept(self, targets: Iterable[Target], count: int) -> dict[tuple[str, int], Fold]:
        """What there is of ``count`` samples of each target, by name and copy number."""
        found = {}
        for target in targets:
            for copy in range(1, count + 1):
                if kept := kept_tensors(self._path(target, copy)):
                    tensors, said = kept
                    found[target.name, copy] = Fold(
                        target,
                        copy,
                        tensors["coords"],
                        tensors.get("backbone"),
                        tensors.get("sidechain"),
                        plddt=tensors.get("plddt"),
                        seconds=said["seconds"],
                    )
        return found

    def _path(self, target: Target, copy: int) -> Path:
        return self.directory / f"{target.stem}-{copy}.safetensors"
