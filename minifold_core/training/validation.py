"""Validation at fixed noise, per noise bin: the mean over all levels hides the fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.interfaces import Process
from minifold_core.model import FoldModel
from minifold_core.training.averages import Averages
from minifold_core.training.objective import Objective

BINS = 4


class Seen(NamedTuple):
    """What a model scores on the B proteins of a batch in one bin of noise levels.

    Attributes:
        names: of the proteins.
        levels: the bin; None for a model that denoises nothing.
        terms: loss term to its values [B].
        figures: figure of merit to its values [B], NaN where it is undefined.
    """

    names: tuple[str, ...]
    levels: range | None
    terms: dict[str, Tensor]
    figures: dict[str, Tensor]


@torch.no_grad()
def validated(
    model: FoldModel, objective: Objective, batches: Iterable[ProteinBatch]
) -> Iterator[Seen]:
    """Measure every protein once in each bin of noise levels, without self-conditioning.

    Time and noise are decided by a protein's name and the bin alone: for models of one process
    they are the same. A model without a denoiser sees every protein once. Residues are hidden as in
    training (``training.masked_residues``), the same ones in every epoch.
    """
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            batch = objective.masked(batch, [_generator(n, "mask") for n in batch.names])
            trunk = model.trunk(batch, complete=True)
            settled = objective.settled(model, trunk, batch)
            for levels in noise_bins(objective.process):
                low = levels.start if levels else 0
                noised = objective.noised(batch, [_generator(n, low) for n in batch.names], levels)
                features = objective.predict(model, batch, noised, trunk=trunk)
                terms = objective.terms(features, batch, settled)
                yield Seen(batch.names, levels, terms, objective.measures(features, batch))
    finally:
        model.train(was_training)


def validate(
    model: FoldModel, objective: Objective, batches: Iterable[ProteinBatch], epoch: int
) -> Averages:
    """Mean of every loss term and metric over proteins, and over four equal bins of noise levels.

    Every protein is seen once in each bin; see :func:`validated`.

    Returns:
        ``val/NAME``, ``val/NAME@tLOW-HIGH``, ``val/total`` (weights of ``epoch``) and
        ``val/total_fixed`` (ramps at their end); empty if there are no batches.
    """
    means = Averages()
    for seen in validated(model, objective, batches):
        defined = {name: value[~value.isnan()] for name, value in seen.figures.items()}
        for name, value in (seen.terms | defined).items():
            means.add_each(f"val/{name}", value)
            if seen.levels:
                means.add_each(f"val/{name}{bin_suffix(seen.levels)}", value)
        means.add_each("val/total", objective.total(seen.terms, epoch))
        means.add_each("val/total_fixed", objective.total(seen.terms, None))
    return means


def bin_suffix(levels: range) -> str:
    """What names of figures in one bin of noise levels end in, such as ``@t0-250``."""
    return f"@t{levels.start}-{levels.stop}"


def noise_bins(process: Process | None) -> list[range] | list[None]:
    """Four equal ranges of times; a single None for a model that denoises nothing."""
    if process is None:
        return [None]
    edges = [round(i * process.timesteps / BINS) for i in range(BINS + 1)]
    return [range(low, high) for low, high in pairwise(edges)]


def _generator(name: str, what: int | str) -> torch.Generator:
    """Of a chain's noise in the bin from ``what``, or of its ``mask``: the same in every epoch,
    every run and every batch.
    """
    return torch.Generator().manual_seed(crc32(f"{name}@{what}".encode()))
