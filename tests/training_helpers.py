"""Small trainings on the demo set."""

from __future__ import annotations

from pathlib import Path

import torch

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.recipe import load_recipe
from minifold_core.training.options import Options
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer

CPU = torch.device("cpu")


def trainer(
    version: str = "v13", options: Options | None = None, size: str = "nano", **values: object
) -> Trainer:
    """A nano training of two steps; ``values`` are recipe keys with ``__`` for dots."""
    torch.manual_seed(0)
    named = {key.replace("__", "."): value for key, value in values.items()}
    recipe = load_recipe(version, size, values=named)
    data = open_dataset()
    options = options or Options(CPU, max_steps=2, data="demo")
    return Trainer(assemble(recipe), data.subset("train"), data.subset("validation"), options)


def fit(made: Trainer, directory: Path) -> Run:
    """Train into a new run."""
    run = Run.create(directory / "run", made.model.recipe, {})
    made.start(run)
    made.fit(run)
    return run


def batch_of(made: Trainer, chains: list[int]) -> ProteinBatch:
    """Some training chains."""
    return collate([made.train_set[i] for i in chains])


def gradients(made: Trainer, parts: list[list[int]], size: int) -> list[torch.Tensor]:
    """The gradients of one step over batches of training chains, before any clipping."""
    stepper = made.stepper
    seen: list[torch.Tensor] = []

    def look(health: dict[str, float]) -> int:
        seen.extend(p.grad.clone() for own in stepper.slots.values() for p in own)
        return 0

    stepper._update = look  # type: ignore[method-assign]
    stepper.take([batch_of(made, part) for part in parts], size, 1, 1e-3)
    return seen
