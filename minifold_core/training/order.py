"""Which chains each optimizer step sees, in which batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from minifold_core.recipe_schema import TrainingConfig
from minifold_core.training.randomness import generator

POOL = 8
"""Optimizer steps whose chains are sorted by length together, at most."""
POOLS = 2
"""Pools of an epoch, at least: of a single one the batches would be the same in every epoch."""


@dataclass(frozen=True)
class Order:
    """The batches of every epoch, a function of the seed and the epoch alone.

    Chains are drawn at random into pools of a few steps, sorted by length within a pool so that
    batches pad little, and a pool's steps are taken in random order. Chains that are left over make
    a shorter step, which is no pool's: of a sorted one they would be the longest each time.

    Attributes:
        lengths: residues of each training chain.
        config: batch size, accumulation and token budget.
        seed: of the order.
    """

    lengths: Sequence[int]
    config: TrainingConfig
    seed: int

    @property
    def per_step(self) -> int:
        """Chains of a step."""
        return self.config.batch_size * self.config.accumulate

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training chains."""
        return -(-len(self.lengths) // self.per_step)

    def epoch(self, number: int) -> list[list[int]]:
        """The chains of each step of an epoch, counted from 1; those of a step by length."""
        own = generator(self.seed, "order", number)
        drawn = torch.randperm(len(self.lengths), generator=own).tolist()
        whole = len(drawn) // self.per_step * self.per_step
        size = self.per_step * min(POOL, max(1, self.steps_per_epoch // POOLS))
        steps: list[list[int]] = []
        for first in range(0, whole, size):
            pool = sorted(drawn[first : min(first + size, whole)], key=self.lengths.__getitem__)
            cut = [pool[i : i + self.per_step] for i in range(0, len(pool), self.per_step)]
            steps += [cut[k] for k in torch.randperm(len(cut), generator=own).tolist()]
        if rest := sorted(drawn[whole:], key=self.lengths.__getitem__):
            steps.insert(int(torch.randint(len(steps) + 1, (1,), generator=own)), rest)
        return steps


def batches(
    chains: Sequence[int], lengths: Sequence[int], size: int, tokens: int = 0
) -> list[list[int]]:
    """Divide chains, sorted by length, into batches of at most ``size`` chains.

    Args:
        chains: indices, by rising length.
        lengths: residues of each chain.
        size: chains of a batch at most.
        tokens: padded residues of a batch at most; 0: no limit. A longer chain is alone.
    """
    made: list[list[int]] = []
    for chain in chains:
        full = made and len(made[-1]) >= size
        heavy = made and tokens and lengths[chain] * (len(made[-1]) + 1) > tokens
        if not made or full or heavy:
            made.append([])
        made[-1].append(chain)
    return made
