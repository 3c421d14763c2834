"""Validation at fixed noise, per noise bin: the mean over all levels hides the fold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.model import FoldModel
from minifold_core.training.objective import Objective

BINS = 4


@torch.no_grad()
def validate(
    model: FoldModel, objective: Objective, batches: Iterable[ProteinBatch], epoch: int
) -> dict[str, float]:
    """Mean of every loss term over proteins and over four equal bins of noise levels.

    Every protein is seen once in each bin, at a time and with noise that its name alone decides,
    without self-conditioning.

    Returns:
        ``val/TERM``, ``val/TERM@tLOW-HIGH``, ``val/total`` (weights of ``epoch``) and
        ``val/total_fixed`` (ramps at their end); empty if there are no batches.
    """
    was_training = model.training
    model.eval()
    sums: dict[str, float] = defaultdict(float)
    count = 0
    for batch in batches:
        count += len(batch)
        for low, high in _bins(objective.process.timesteps):
            generators = [_generator(name, low) for name in batch.names]
            times = [torch.randint(low, high, (), generator=own) for own in generators]
            t = torch.stack(times).to(batch.tokens.device)
            features = objective.predict(model, batch, objective.noise(batch, t, generators), t)
            terms = objective.terms(features, batch)
            for name, value in terms.items():
                sums[f"val/{name}"] += _sum(value) / BINS
                sums[f"val/{name}@t{low}-{high}"] += _sum(value)
            sums["val/total"] += _sum(objective.total(terms, epoch)) / BINS
            sums["val/total_fixed"] += _sum(objective.total(terms, None)) / BINS
    model.train(was_training)
    return {name: value / count for name, value in sums.items()}


def _bins(timesteps: int) -> list[tuple[int, int]]:
    edges = [round(i * timesteps / BINS) for i in range(BINS + 1)]
    return list(pairwise(edges))


def _sum(values: Tensor) -> float:
    return float(values.double().sum())


def _generator(name: str, low: int) -> torch.Generator:
    """Noise of a chain in a bin: the same in every epoch, every run and every batch."""
    return torch.Generator().manual_seed(crc32(f"{name}@{low}".encode()))
