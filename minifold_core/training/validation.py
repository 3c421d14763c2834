"""Validation at fixed noise, per noise bin: the mean over all levels hides the fold."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from zlib import crc32

import torch

from minifold_core.batch import ProteinBatch
from minifold_core.interfaces import Process
from minifold_core.model import FoldModel
from minifold_core.training.averages import Averages
from minifold_core.training.objective import Objective

BINS = 4


@torch.no_grad()
def validate(
    model: FoldModel, objective: Objective, batches: Iterable[ProteinBatch], epoch: int
) -> Averages:
    """Mean of every loss term and metric over proteins, and over four equal bins of noise levels.

    Every protein is seen once in each bin, at a time and with noise that its name alone decides,
    without self-conditioning; a model without a denoiser sees it once.

    Returns:
        ``val/NAME``, ``val/NAME@tLOW-HIGH``, ``val/total`` (weights of ``epoch``) and
        ``val/total_fixed`` (ramps at their end); empty if there are no batches.
    """
    was_training = model.training
    model.eval()
    means = Averages()
    for batch in batches:
        for levels in noise_bins(objective.process):
            low = levels.start if levels else 0
            noised = objective.noised(batch, [_generator(n, low) for n in batch.names], levels)
            features = objective.predict(model, batch, noised)
            terms = objective.terms(features, batch)
            figures = objective.measures(features, batch)
            defined = {name: value[~value.isnan()] for name, value in figures.items()}
            for name, value in (terms | defined).items():
                means.add_each(f"val/{name}", value)
                if levels:
                    means.add_each(f"val/{name}@t{levels.start}-{levels.stop}", value)
            means.add_each("val/total", objective.total(terms, epoch))
            means.add_each("val/total_fixed", objective.total(terms, None))
    model.train(was_training)
    return means


def noise_bins(process: Process | None) -> list[range] | list[None]:
    """Four equal ranges of times; a single None for a model that denoises nothing."""
    if process is None:
        return [None]
    edges = [round(i * process.timesteps / BINS) for i in range(BINS + 1)]
    return [range(low, high) for low, high in pairwise(edges)]


def _generator(name: str, low: int) -> torch.Generator:
    """Noise of a chain in a bin: the same in every epoch, every run and every batch."""
    return torch.Generator().manual_seed(crc32(f"{name}@{low}".encode()))
