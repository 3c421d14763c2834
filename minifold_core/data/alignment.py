"""Protein sequences compared: all pairs searched without gaps, and local alignments with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from biotite.sequence import ProteinSequence
from biotite.sequence.align import EValueEstimator, SubstitutionMatrix, align_optimal
from numpy.typing import NDArray

MATRIX = SubstitutionMatrix.std_protein_matrix()
"""BLOSUM62."""
GAP = (-11, -1)
CHANCE = EValueEstimator(0.267, 0.041)
"""λ and K of BLOSUM62 with these gaps (Altschul & Gish, Methods Enzymol. 266:460, 1996)."""
SEARCHED = 120_000
"""Residues that E-values are for, whatever was searched: a pair of chains is judged the same in
every dataset. About 1,800 chains of 30-125 residues have so many."""
BLOCK = 100
"""Target chains searched at once: their scores stay in the processor's cache."""


@dataclass(frozen=True)
class Hit:
    """A local alignment of two chains.

    Attributes:
        score: Smith-Waterman score, BLOSUM62, a gap of n residues costs 10 + n.
        aligned: pairs of residues aligned.
        identity: fraction of these pairs that are the same residue.
        coverage: these pairs over the residues of the shorter chain.
    """

    score: int
    aligned: int
    identity: float
    coverage: float


def align(one: ProteinSequence, other: ProteinSequence) -> Hit:
    """The best local alignment of two sequences, by biotite."""
    best = align_optimal(one, other, MATRIX, gap_penalty=GAP, local=True, max_number=1)[0]
    pairs = best.trace[(best.trace >= 0).all(1)]
    same = int((one.code[pairs[:, 0]] == other.code[pairs[:, 1]]).sum())
    return Hit(
        int(best.score),
        len(pairs),
        same / max(len(pairs), 1),
        len(pairs) / min(len(one), len(other)),
    )


def e_value(score: int, residues: int) -> float:
    """How many alignments of this score a chain finds by chance among ``SEARCHED`` residues.

    Args:
        score: of the alignment.
        residues: of the chain searched with.
    """
    return math.pow(10.0, float(CHANCE.log_evalue(score, residues, SEARCHED)))


class UngappedSearch:
    """The best alignment without gaps of a sequence with each of many, all diagonals searched."""

    def __init__(self, targets: Sequence[ProteinSequence]) -> None:
        """``targets``: at least one sequence, none empty."""
        scores = MATRIX.score_matrix()
        # No alignment survives a separator: it costs more than any chain can score.
        stop = -int(scores.max()) * max(map(len, targets))
        self._blocks = []
        for first in range(0, len(targets), BLOCK):
            block = targets[first : first + BLOCK]
            starts = np.cumsum([1, *(len(target) + 1 for target in block)])
            profile = np.full((len(scores), starts[-1]), stop, np.int32)
            for start, target in zip(starts, block, strict=False):
                profile[:, start : start + len(target)] = scores[:, target.code]
            self._blocks.append((starts[:-1], profile))

    def scores(self, query: ProteinSequence) -> NDArray[np.int32]:
        """[T] the best score with each target."""
        return np.concatenate(
            [np.maximum.reduceat(_best(query, profile), starts) for starts, profile in self._blocks]
        )


def _best(query: ProteinSequence, profile: NDArray[np.int32]) -> NDArray[np.int32]:
    """[C] the best score of an alignment without gaps that ends at each column.

    Args:
        query: L residues, one diagonal step each.
        profile: [24, C] score of every residue at every column, separators included.
    """
    ending, grown, best, zero = np.zeros((4, profile.shape[1]), np.int32)
    for code in query.code:
        np.add(ending[:-1], profile[code, 1:], out=grown[1:])
        np.maximum(grown, zero, out=grown)
        np.maximum(best, grown, out=best)
        ending, grown = grown, ending
    return best
