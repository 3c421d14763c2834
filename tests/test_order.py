"""Which chains come together, and when."""

from __future__ import annotations

import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.recipe import load_recipe
from minifold_core.training.order import Order, batches


def test_every_chain_comes_once_an_epoch_and_in_batches_of_like_length() -> None:
    config = load_recipe("v13").training
    lengths = torch.randint(20, 126, (203,), generator=torch.Generator().manual_seed(0)).tolist()
    order = Order(lengths, config, seed=1)
    first, second = order.epoch(1), order.epoch(2)
    assert len(first) == order.steps_per_epoch
    assert sorted(chain for step in first for chain in step) == list(range(203))
    assert first != second
    assert first == Order(lengths, config, seed=1).epoch(1) != Order(lengths, config, 2).epoch(1)
    spread = [lengths[s[-1]] - lengths[s[0]] for s in first]
    assert sum(spread) / len(spread) < 30  # 105 in steps drawn at random


def test_chains_of_a_small_set_meet_others_in_every_epoch() -> None:
    config = load_recipe("v13", "nano").training
    lengths = open_dataset().subset("train").lengths.tolist()
    order = Order(lengths, config, seed=0)
    epochs = [order.epoch(number) for number in range(1, 21)]
    assert len({frozenset(map(frozenset, steps)) for steps in epochs}) > 15
    alone = [step[0] for steps in epochs for step in steps if len(step) == 1]
    assert len(alone) == 20, "thirteen chains in steps of four"
    assert max(alone.count(chain) for chain in alone) < 6, "a short step is not always the same's"


def test_a_token_budget_splits_steps_and_leaves_no_chain_out() -> None:
    lengths = [20, 30, 40, 50, 120, 300]
    made = batches(range(6), lengths, size=3, tokens=200)
    assert made == [[0, 1, 2], [3], [4], [5]]
    assert batches(range(6), lengths, size=4) == [[0, 1, 2, 3], [4, 5]]
