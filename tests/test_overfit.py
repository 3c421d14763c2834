"""The whole chain of training and sampling on one protein: it must learn it by heart."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.gates.chains import gate_chains
from minifold_core.gates.memory import MOST_STEPS_ONE, one_chain_gate
from minifold_core.gates.overfit import Overfit
from minifold_core.gates.record import Outcome
from minifold_core.recipe import Recipe, load_recipe


@pytest.mark.slow(seconds=500)
def test_v13_nano_learns_one_chain_by_heart(tmp_path: Path) -> None:
    """DDIM from noise alone returns the training chain: TM > 0.95 (gate 3)."""

    def load(changes: Mapping[str, Any]) -> Recipe:
        return load_recipe("v13", "nano", values=dict(changes))

    chains = gate_chains(open_dataset())[:1]
    found = one_chain_gate(
        Overfit.plan(load, chains, MOST_STEPS_ONE, tmp_path / "one", 0),
        torch.device("cpu"),
        lambda *what: nullcontext(lambda steps, words="": None),
    )
    assert found.outcome is Outcome.PASS, found.seen
