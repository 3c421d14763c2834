"""Natural chains of the samples' lengths, drawn twice over: what natural chains differ by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minifold_core.evaluation.generation.traces import Trace

Rows = NDArray[np.int_]

TOLERANCE = 0.1
"""How much longer or shorter, relative to a sample, a natural chain of its length may be."""
MOST_PAIRS = 50
"""Pairs of natural chains for figures that take a search over superpositions for each chain."""
DRAWS = 200
"""Random draws, whose 95 % range is what natural chains differ by."""
FEWEST_WHOLE = 2
"""Natural chains of a sample's length that spare cutting windows: one for either set."""
WINDOWS_PER_SAMPLE = 4
FEWEST_WINDOWS = 20


class Draw(NamedTuple):
    """Three sets of equal size, whose members of one place have about the same length.

    Attributes:
        samples: [m] rows of samples.
        first: [m] rows of natural chains.
        second: [m] rows of other natural chains, of other entries.
    """

    samples: Rows
    first: Rows
    second: Rows


def near(length: int, lengths: NDArray[np.int_]) -> NDArray[np.bool_]:
    """[N] which lengths are within the tolerance of one."""
    return np.abs(lengths - length) <= TOLERANCE * length


def add_windows(
    lengths: Sequence[int], natural: Sequence[Trace], rng: np.random.Generator
) -> list[Trace]:
    """Windows of longer natural chains, for lengths of samples that too few whole chains have.

    A window is a fragment and no fold of its own, so whole chains come first: windows are cut
    only for a length of which there are fewer than two.
    """
    have = np.array([len(trace) for trace in natural], int)
    windows = []
    for length, samples in zip(*np.unique(lengths, return_counts=True), strict=True):
        longer = np.flatnonzero(have > length)
        if near(length, have).sum() >= FEWEST_WHOLE or not len(longer):
            continue
        wanted = max(FEWEST_WINDOWS, WINDOWS_PER_SAMPLE * samples)
        for row in rng.permutation(longer)[:wanted]:
            start = int(rng.integers(have[row] - length + 1))
            windows.append(natural[row].window(start, start + int(length)))
    return windows


def make_draws(
    lengths: Sequence[int], natural: Sequence[Trace], rng: np.random.Generator
) -> list[Draw]:
    """Draws of as many samples, in random order, as find two natural chains of their own.

    No natural chain, and no two windows of one entry, are in one draw twice. A sample without
    partners of its length is in no draw; no draw at all is given where that is true of all.
    """
    have = np.array([len(trace) for trace in natural], int)
    _, entry = np.unique([trace.source for trace in natural], return_inverse=True)
    partners = {length: np.flatnonzero(near(length, have)) for length in set(lengths)}
    draws = [_draw(lengths, partners, entry, rng) for _ in range(DRAWS)]
    return [draw for draw in draws if len(draw.samples)]


def exchanges(pairs: int, samples: int, rng: np.random.Generator) -> list[Draw]:
    """Draws from one set of partners alone, for figures too dear for all natural chains.

    Args:
        pairs: how many; natural chains 0 to ``pairs`` - 1 have their partners behind them, in the
            same order, and partners change sides at random.
        samples: how many samples, at least ``pairs``, as many are drawn from.
        rng: of the draws.
    """
    place = np.arange(pairs)
    draws = []
    for _ in range(DRAWS if pairs else 0):
        swap = rng.random(pairs) < 0.5
        first, second = place + pairs * swap, place + pairs * ~swap
        draws.append(Draw(rng.permutation(samples)[:pairs], first, second))
    return draws


def _draw(
    lengths: Sequence[int], partners: dict[int, Rows], entry: Rows, rng: np.random.Generator
) -> Draw:
    used = np.zeros(entry.max(initial=-1) + 1, bool)
    chosen = []
    for sample in rng.permutation(len(lengths)):
        pair = []
        for _ in range(2):
            free = partners[lengths[sample]]
            free = free[~used[entry[free]]]
            if not len(free):
                break
            pair.append(free[rng.integers(len(free))])
            used[entry[pair[-1]]] = True
        if len(pair) == 2:
            chosen.append((sample, *pair))
    rows = np.array(chosen, int).reshape(-1, 3)
    return Draw(rows[:, 0], rows[:, 1], rows[:, 2])
