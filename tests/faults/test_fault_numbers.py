"""Numbers that are none, and modules that no gradient reaches: what is blamed, and what halts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fault_helpers import begin, tiny
from minifold_core.data.dataset import PackedDataset
from minifold_core.errors import MinifoldError
from minifold_core.recipe import load_recipe
from minifold_core.training.state import load_state
from minifold_core.training.trainer import Trainer
from training_helpers import batch_of


def test_coordinates_that_are_no_numbers_are_blamed_on_their_chain_alone(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny(data)
    batch = batch_of(made, [0, 1])
    batch.backbone[1, 3, 1] = torch.nan  # one Cα
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    assert made.stepper.take([batch], 2, 1, 1e-3).health["skipped"] == 1
    said = capsys.readouterr().err
    good, bad = made.train_set.names[:2]
    assert f"loss is not finite for {bad} (" in said
    assert "the coordinates in the batch are not finite" in said
    assert good not in said
    assert "module" not in said
    assert all(torch.equal(p, before[name]) for name, p in made.model.named_parameters())


def test_an_infinite_activation_is_found_in_the_module_where_it_arose(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny(data)
    path = "pair_stack.blocks.1.transition"
    module = made.model.get_submodule(path)
    module.register_forward_hook(lambda module, given, output: output + torch.inf)
    assert made.stepper.take([batch_of(made, [0])], 1, 1, 1e-3).health["skipped"] == 1
    assert f"first in module '{path}'" in capsys.readouterr().err


def test_sixty_steps_without_gradients_stir_a_module_and_then_halt(
    data: Path, tmp_path: Path
) -> None:
    """As published the tripwire acts after 50 steps; it halts after 500, here after 60."""
    assert load_recipe("v12b").training.tripwire.steps == 50
    small = tiny(data, steps=80, training__tripwire__halt_steps=60)
    rows = np.tile(small.train_set.rows, 40)  # an epoch of 80 steps
    made = Trainer(small.model, PackedDataset(small.train_set.file, rows), None, small.options)
    starved = list(made.model.part("pair_stack").parameters())
    moments = []
    made.on_step = lambda steps, words="": moments.append(
        max(float(made.stepper.optimizer.state[p]["exp_avg"].abs().max()) for p in starved)
    )
    for parameter in starved:
        parameter.register_hook(torch.zeros_like)
    run = begin(made, tmp_path / "run")
    with pytest.raises(MinifoldError, match=r"pair_stack: gradient norm below 0\.001 in 60 steps"):
        made.fit(run)
    lines = [json.loads(line) for line in (run.directory / "steps.jsonl").open()]
    assert [line["tripwire/pair_stack"] for line in lines] == [0] * 49 + [1] * 10
    assert [moment > 0 for moment in moments] == [False] * 49 + [True] * 10
    assert load_state(run.state, tiny(data).stepper).step == 59
