"""The natural chain that is most like a structure, among those that a model may have learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minifold_core.evaluation.generation.figures import Figure, mean_figure
from minifold_core.evaluation.generation.gapless import gapless_tm, offsets, quick_tm
from minifold_core.evaluation.generation.matching import MOST_PAIRS, Draw, exchanges, make_draws
from minifold_core.evaluation.generation.traces import Progress, Trace

TOLERANCE = 0.2
"""How much longer or shorter, relative to a structure, a chain may be that it is compared with."""
SEGMENTS = 16
"""Pieces of a chain whose centres' distances are its fingerprint."""
BY_FINGERPRINT, BY_SUPERPOSITION = 60, 6
"""Chains that are left after either filter; the last ones are searched in full."""


class Nearest(NamedTuple):
    """The chain found, and its gapless TM-score; no name where no chain has a similar length."""

    name: str | None
    tm: float


@dataclass(frozen=True)
class Novelty:
    """The nearest natural chain of every sample, and the figure of their TM-scores."""

    nearest: tuple[Nearest, ...]
    figure: Figure


def judge_novelty(
    samples: Sequence[Trace],
    library: Library,
    held_out: Sequence[Trace],
    rng: np.random.Generator,
    progress: Progress,
) -> Novelty:
    """Look for the nearest chain of every sample, and of at most 100 held-out chains.

    Args:
        samples: all samples.
        library: the natural chains that a sample may be like.
        held_out: natural chains whose nearest ones are the measure.
        rng: of draws.
        progress: shows it.
    """
    draws = make_draws([len(trace) for trace in samples], held_out, rng)
    draw = draws[0] if draws else Draw(np.arange(len(samples)), *np.zeros((2, 0), int))
    partners = np.concatenate([draw.first[:MOST_PAIRS], draw.second[:MOST_PAIRS]])
    found = []
    with progress("searching natural chains", len(samples) + len(partners)) as advance:
        for trace in (*samples, *(held_out[row] for row in partners)):
            found.append(library.nearest(trace))
            advance(1)
    tm = np.array([nearest.tm for nearest in found])
    exchanged = exchanges(len(partners) // 2, len(draw.samples), rng)
    ours, theirs = tm[draw.samples], tm[len(samples) :]
    figure = mean_figure("nearest_tm", ours, theirs, exchanged)
    return Novelty(tuple(found[: len(samples)]), figure)


class Library:
    """Natural chains to be searched."""

    def __init__(self, chains: Sequence[Trace]) -> None:
        self.chains = chains
        self.lengths = np.array([len(chain) for chain in chains], int)
        self.entries = np.array([chain.source for chain in chains])
        self.fingerprints = torch.stack([fingerprint(chain.ca) for chain in chains])

    def nearest(self, trace: Trace) -> Nearest:
        """The chain of highest TM-score, not counting those of the trace's own entry.

        Chains within 20 % of its length are ranked by the distance between fingerprints, the 60
        nearest by their best superposition at any offset, and the best six are searched in full.
        The score found is a lower bound, for the filters may lose the best chain.
        """
        similar = np.abs(self.lengths - len(trace)) <= TOLERANCE * len(trace)
        rows = torch.from_numpy(np.flatnonzero(similar & (self.entries != trace.source)))
        if not len(rows):
            return Nearest(None, float("nan"))
        apart = (self.fingerprints[rows] - fingerprint(trace.ca)).square().mean(-1)
        rows = rows[apart.argsort()[:BY_FINGERPRINT]]
        quick = torch.stack([_best(trace.ca, self.chains[row].ca) for row in rows.tolist()])
        rows = rows[quick.argsort(descending=True)[:BY_SUPERPOSITION]]
        scores = gapless_tm([(trace.ca, self.chains[row].ca) for row in rows.tolist()])
        best = int(scores.argmax())
        return Nearest(self.chains[int(rows[best])].name, float(scores[best]))


def fingerprint(ca: Tensor) -> Tensor:
    """[120] ångström between the centres of sixteen pieces of a chain [n, 3], n >= 16."""
    pieces = torch.stack([piece.mean(0) for piece in ca.tensor_split(SEGMENTS)])
    return torch.nn.functional.pdist(pieces)


def _best(one: Tensor, other: Tensor) -> Tensor:
    short, long = sorted((one, other), key=len)
    return quick_tm(short, offsets(short, long)).max()
