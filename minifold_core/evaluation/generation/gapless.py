"""TM-scores of chains of unequal length: the shorter one laid along the longer without gaps.

TM-score needs residues that correspond. Chains of equal length correspond by position; for others
every offset of the shorter along the longer is tried with a few superpositions, and the best of
these offsets is scored by the full search. A lower bound of what an alignment with gaps would find.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minifold_core.evaluation.metrics import tm_score
from minifold_core.evaluation.tm import tm_d0
from minifold_core.geometry.superpose import superpose

PARTS = ((0.0, 1.0), (0.0, 0.5), (0.5, 1.0), (0.25, 0.75))
"""The parts of the shorter chain, as fractions of it, that are superposed at every offset."""
AT_ONCE = 256
"""Pairs padded to a common length for one call of the search."""


def gapless_tm(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """[P] TM-scores, normalised by the shorter chain, at the best offset of each pair.

    Args:
        pairs: of Cα traces [n, 3] and [m, 3] in ångström; the order within a pair is all one.
    """
    laid = [_laid(*sorted(pair, key=len)) for pair in pairs]
    scores = [_search(laid[start : start + AT_ONCE]) for start in range(0, len(laid), AT_ONCE)]
    return torch.cat([torch.zeros(0, dtype=torch.float64), *scores])


def quick_tm(short: Tensor, windows: Tensor) -> Tensor:
    """[W] a lower bound of the TM-score, by the best of four superpositions.

    Args:
        short: [n, 3] Cα in ångström.
        windows: [W, n, 3] traces of the same length.
    """
    n = len(short)
    place = torch.arange(n) / n
    weights = torch.stack([(place >= low) & (place < high) for low, high in PARTS])
    mobile, target = short.expand(len(windows), len(PARTS), n, 3), windows[:, None]
    moved = superpose(mobile, target.expand_as(mobile), weights.expand(mobile.shape[:-1]))
    squared = (moved.apply(mobile) - target).square().sum(-1)
    return (1 / (1 + squared / tm_d0(n) ** 2)).mean(-1).amax(1)


def offsets(short: Tensor, long: Tensor) -> Tensor:
    """[m-n+1, n, 3] the windows of the longer trace that the shorter may lie on."""
    return long.unfold(0, len(short), 1).transpose(1, 2)


def _laid(short: Tensor, long: Tensor) -> tuple[Tensor, Tensor]:
    """The shorter trace, and the window of the longer that it fits best."""
    if len(short) == len(long):
        return short, long
    windows = offsets(short, long)
    return short, windows[quick_tm(short, windows).argmax()]


def _search(pairs: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    pred, target = (
        torch.nn.utils.rnn.pad_sequence([pair[side] for pair in pairs], batch_first=True)
        for side in (0, 1)
    )
    lengths = torch.tensor([len(short) for short, _ in pairs])
    return tm_score(pred, target, torch.arange(target.shape[1]) < lengths[:, None])
