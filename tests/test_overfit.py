"""The whole chain of training and sampling on one protein: it must learn it by heart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.cli.platform import choose_device
from minifold_core.data.dataset import PackedDataset, open_dataset
from minifold_core.data.packwriter import write_pack
from minifold_core.evaluation.metrics import tm_score
from minifold_core.folding import Target, fold
from minifold_core.recipe import load_recipe
from minifold_core.training.options import Options
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer
from minifold_core.weights.io import load_model

NAME = "1a8o.A"
STEPS = 900
EPOCHS = 9


@pytest.fixture
def own_cores() -> Iterator[torch.device]:
    """The CPU as the command line uses it, as far as other workers leave it."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    yield choose_device("cpu")
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(1)


@pytest.mark.slow
def test_v13_nano_learns_one_chain_by_heart(tmp_path: Path, own_cores: torch.device) -> None:
    """DDIM from noise alone returns the training chain: TM > 0.95 (gate 3 of this field)."""
    (chain,) = (c for c in open_dataset() if c.name == NAME)
    recipe = load_recipe("v13", "nano", values={"training.epochs": EPOCHS, **SCHEDULE})
    per_epoch = STEPS // EPOCHS * recipe.training.batch_size
    copies = [replace(chain, name=f"copy{i}") for i in range(per_epoch)]
    write_pack(tmp_path / "one.safetensors", copies, [], {})
    data = PackedDataset.open(tmp_path / "one.safetensors")
    torch.manual_seed(0)
    run = Run.create(tmp_path / "run", recipe, {})
    Trainer(assemble(recipe), data, None, Options(own_cores)).fit(run)
    model, header = load_model(run.last)
    assert header.step == STEPS
    samples = fold(model, [Target.of(chain)], recipe.sampling, count=4)
    truth = torch.from_numpy(chain.ca)[None]
    scores = torch.cat([tm_score(sample.coords[None], truth) for sample in samples])
    assert scores.mean() > 0.95, scores


SCHEDULE = {"training.schedule.warmup_epochs": 0.5, "training.schedule.constant_epochs": 4}
