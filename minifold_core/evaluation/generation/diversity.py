"""How unlike each other the structures of a set are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from minifold_core.console import Advance
from minifold_core.evaluation.generation.figures import Figure, Statistic, statistic_figure
from minifold_core.evaluation.generation.gapless import AT_ONCE, gapless_tm
from minifold_core.evaluation.generation.matching import MOST_PAIRS, Draw, Rows, exchanges
from minifold_core.evaluation.generation.traces import Progress, Trace
from minifold_core.evaluation.tm import SAME_FOLD

Floats = NDArray[np.float64]

MOST_SAMPLES = 2 * MOST_PAIRS
"""Samples that are compared with each other; they are drawn at random where there are more."""


@dataclass(frozen=True, eq=False)
class Diversity:
    """How samples compare with each other.

    Attributes:
        rows: [k] the samples that were compared.
        clusters: [k] the number of each one's cluster.
        figures: mean TM-score of pairs, and clusters per structure, of sets of equal size.
    """

    rows: Rows
    clusters: Rows
    figures: tuple[Figure, ...]


def judge_diversity(
    samples: Sequence[Trace],
    natural: Sequence[Trace],
    draws: Sequence[Draw],
    rng: np.random.Generator,
    progress: Progress,
) -> Diversity:
    """Compare every two of at most 100 samples, and every two of at most 100 natural chains.

    Samples with partners come first; only those enter the figures where there are any.

    Args:
        samples: all samples.
        natural: the natural chains that ``draws`` numbers.
        draws: the first one says which samples have partners, and which.
        rng: of further draws.
        progress: shows it.
    """
    draw = draws[0] if draws else Draw(np.arange(len(samples)), *np.zeros((2, 0), int))
    alone = np.setdiff1d(rng.permutation(len(samples)), draw.samples, assume_unique=True)
    rows = np.concatenate([draw.samples, alone])[:MOST_SAMPLES]
    partners = np.concatenate([draw.first[:MOST_PAIRS], draw.second[:MOST_PAIRS]])
    ours, theirs = [samples[row] for row in rows], [natural[row] for row in partners]
    pairs = (len(each) * (len(each) - 1) // 2 for each in (ours, theirs))
    with progress("comparing pairs", sum(pairs)) as advance:
        matrix, other = tm_matrix(ours, advance), tm_matrix(theirs, advance)
    size = len(partners) // 2
    exchanged = exchanges(size, min(len(rows), len(draw.samples)), rng)
    figures = (
        statistic_figure(
            name,
            _among(matrix, of),
            _among(other, of),
            exchanged,
            len(rows),
            size,
        )
        for name, of in {"pairwise_tm": mean_tm, "clusters": cluster_share}.items()
    )
    return Diversity(rows, clusters(matrix), tuple(figures))


def tm_matrix(traces: Sequence[Trace], advance: Advance) -> Floats:
    """[N, N] gapless TM-scores of all pairs, 1 on the diagonal.

    Args:
        traces: the structures.
        advance: told how many pairs are done.
    """
    matrix = np.eye(len(traces))
    pairs = list(combinations(range(len(traces)), 2))
    for start in range(0, len(pairs), AT_ONCE):
        rows, columns = np.array(pairs[start : start + AT_ONCE]).T
        together = [(traces[i].ca, traces[j].ca) for i, j in zip(rows, columns, strict=True)]
        matrix[rows, columns] = matrix[columns, rows] = gapless_tm(together).numpy()
        advance(len(together))
    return matrix


def _among(matrix: Floats, statistic: Callable[[Floats], float]) -> Statistic:
    return lambda rows: statistic(matrix[np.ix_(rows, rows)])


def mean_tm(matrix: Floats) -> float:
    """Mean over the pairs of different structures of a TM matrix [N, N]; NaN below two."""
    n = len(matrix)
    return float((matrix.sum() - matrix.trace()) / (n * (n - 1))) if n > 1 else float("nan")


def clusters(matrix: Floats) -> NDArray[np.int_]:
    """[N] the number of each structure's cluster, from 0, by single linkage at TM 0.5.

    Args:
        matrix: [N, N] TM-scores.
    """
    label = np.arange(len(matrix))
    linked = matrix >= SAME_FOLD
    while True:
        lowest = np.where(linked, label, len(label)).min(1, initial=len(label))
        if (lowest == label).all():
            return np.unique(label, return_inverse=True)[1]
        label = lowest


def cluster_share(matrix: Floats) -> float:
    """Clusters per structure: 1 where no two share a fold, 1/N where all do; NaN without any."""
    return len(np.unique(clusters(matrix))) / len(matrix) if len(matrix) else float("nan")
