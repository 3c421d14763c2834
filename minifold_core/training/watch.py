"""Structures sampled while training goes on, judged beside the floors on the same chains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from zlib import crc32

import torch

from minifold_core.console import note
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.judge import Bench, check_library
from minifold_core.evaluation.scores import FLOOR, MODEL
from minifold_core.folding import Target, fold
from minifold_core.model import FoldModel

SHOWN = ("tm", "rmsd", "gdt_ts", "lddt")


@dataclass(frozen=True)
class Watch:
    """Samples the same validation chains with the same noise whenever it is asked."""

    chains: Sequence[Chain]
    library: Iterable[Chain]
    seed: int

    @classmethod
    def of(
        cls,
        model: FoldModel,
        train_set: PackedDataset,
        validation_set: PackedDataset | None,
        seed: int,
    ) -> Watch | None:
        """Choose the chains by a hash of their names; None if the recipe samples nothing."""
        config = model.recipe.training
        if not config.sample_every or validation_set is None or model.recipe.process is None:
            return None
        names = validation_set.names
        order = sorted(range(len(names)), key=lambda i: crc32(names[i].encode()))
        chains = [validation_set[i] for i in order[: config.sample_chains]]
        try:
            check_library(chains, train_set)
        except RequestError as error:
            note(f"warning: no samples during training: {error}")
            return None
        return cls(chains, train_set, seed)

    @cached_property
    def bench(self) -> Bench:
        """The chains and what the floors score on them, which never changes."""
        return Bench.of(self.chains, self.library, self.seed)

    def look(self, model: FoldModel, device: torch.device) -> dict[str, float]:
        """``sampled/tm`` and so on of the model's samples, and ``floor/NAME/tm`` of the floors."""
        targets = [Target.of(chain) for chain in self.chains]
        was_training = model.training
        try:
            folds = fold(model, targets, model.recipe.sampling, seed=self.seed, device=device)
            predicted = {done.target.name: done.coords for done in folds}
        finally:
            model.train(was_training)
        row: dict[str, float] = {}
        for predictor in self.bench.judge(predicted).report.rows:
            if predictor.name == MODEL or predictor.name.startswith(FLOOR):
                name = predictor.name.replace(MODEL, "sampled").replace(FLOOR, "floor/")
                row |= {f"{name}/{metric}": predictor.means[metric] for metric in SHOWN}
        return row
