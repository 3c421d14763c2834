"""TM-score and GDT by search over superpositions, for residues that already correspond.

The search is that of the program TMscore (Zhang & Skolnick 2004, *Proteins* 57:702): superimpose a
fragment, keep the residues that come near, superimpose those, and so on; begin from every fragment
of length L, L/2, L/4 ... 4; report the best score met. All fragments of many pairs advance at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.superpose import Superposition, optimal_rotation, superpose

GDT_CUTOFFS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Ångström (Zemla 2003): the first four are those of GDT-HA, the last four those of GDT-TS."""
SAME_FOLD = 0.5
"""TM-score from which two structures mostly share a fold (Xu & Zhang 2010)."""
SHORTEST_FRAGMENT = 4
MAX_HALVINGS = 4
MAX_ITERATIONS = 20
FEWEST_INCLUDED = 3
"""A superposition of fewer residues is undetermined; the cutoff widens until so many are near."""


class SearchScores(NamedTuple):
    """What a search found, per pair [P].

    Attributes:
        tm: TM-score in (0, 1], normalised by the number of residues.
        gdt_ts: mean over 1, 2, 4 and 8 Å of the largest fraction of residues within each.
        gdt_ha: the same over 0.5, 1, 2 and 4 Å.
    """

    tm: Tensor
    gdt_ts: Tensor
    gdt_ha: Tensor


def tm_d0(length: int) -> float:
    """The distance in ångström that scores one half; at least 0.5, as in TMscore."""
    return max(0.5, 1.24 * (length - 15) ** (1 / 3) - 1.8) if length > 15 else 0.5


def fragments(length: int) -> Tensor:
    """[S, length] True inside each of the fragments from which a search begins."""
    shortest = min(SHORTEST_FRAGMENT, length)
    sizes = {max(shortest, length >> halvings) for halvings in range(MAX_HALVINGS + 1)} | {shortest}
    starts = torch.cat([torch.arange(length - size + 1) for size in sorted(sizes)])
    ends = torch.cat([torch.arange(size, length + 1) for size in sorted(sizes)])
    place = torch.arange(length)
    return (place >= starts[:, None]) & (place < ends[:, None])


def search(pred: Tensor, target: Tensor) -> SearchScores:
    """Search the superpositions of predictions on targets of equal length.

    Args:
        pred: [P, n, 3] predicted Cα in ångström, float64.
        target: [P, n, 3] true Cα in ångström, float64.
    """
    pairs, length, _ = pred.shape
    d0 = tm_d0(length)
    cutoffs = pred.new_tensor(GDT_CUTOFFS).square()

    tm = pred.new_zeros(pairs)
    within = pred.new_zeros(pairs, len(cutoffs))
    for _, squared in _rounds(pred, target):
        tm = tm.maximum(_sums(squared, d0).amax(1))
        counts = torch.stack([(squared < cutoff).sum(-1).amax(1) for cutoff in cutoffs], -1)
        within = within.maximum(counts.to(within))
    share = within / length
    return SearchScores(tm / length, share[:, 1:].mean(-1), share[:, :-1].mean(-1))


def best_superposition(pred: Tensor, target: Tensor) -> Superposition:
    """The superposition of each of P predictions that scores the TM-score of :func:`search`."""
    pairs, length, _ = pred.shape
    best = pred.new_zeros(pairs)
    residues = torch.ones(pairs, length, dtype=torch.bool, device=pred.device)
    for included, squared in _rounds(pred, target):
        top = _sums(squared, tm_d0(length)).max(1)
        found = included.gather(1, top.indices[:, None, None].expand(-1, 1, length))[:, 0]
        residues = found.where((top.values > best)[:, None], residues)
        best = best.maximum(top.values)
    return superpose(pred, target, residues)


def _rounds(pred: Tensor, target: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The sets of residues [P, S, n] that are superimposed, and the squared distances after it."""
    pairs, length, _ = pred.shape
    features = _features(pred - pred.mean(1, keepdim=True), target - target.mean(1, keepdim=True))
    d0_search = min(8.0, max(4.5, tm_d0(length)))
    included = fragments(length).to(pred.device).expand(pairs, -1, -1)
    for iteration in range(MAX_ITERATIONS + 1):
        squared = _squared_distances(included.to(pred), features)
        yield included, squared
        near = _near(squared, d0_search + (1 if iteration else -1))
        # The first cutoff is narrower, so that an unchanged set means convergence only after it.
        moving = (near != included).any(-1) if iteration else near.any(-1)
        most = int(moving.sum(1).max())
        if most == 0:
            break
        # Converged fragments leave; the array is cut to the pair that has most of them left.
        keep = moving.to(torch.uint8).topk(most, dim=1).indices
        included = near.gather(1, keep[..., None].expand(-1, -1, length))


def _sums(squared: Tensor, d0: float) -> Tensor:
    """[P, S] TM-scores, times the number of residues, of squared distances [P, S, n]."""
    return squared.div(d0**2).add_(1).reciprocal_().sum(-1)


def _features(pred: Tensor, target: Tensor) -> Tensor:
    """[P, n, 17] terms in which moments and squared distances of any superposition are linear."""
    products = (pred[..., :, None] * target[..., None, :]).flatten(-2)
    squares = (pred.square() + target.square()).sum(-1, keepdim=True)
    return torch.cat([torch.ones_like(squares), pred, target, products, squares], -1)


def _squared_distances(weights: Tensor, features: Tensor) -> Tensor:
    """[P, S, n] squared distances after the best superposition of each weighted subset [P, S, n].

    |Rp + t - q|² is expanded, so that the two steps that touch every residue are matrix products.
    """
    size, p, q, pq, _ = (weights @ features).split([1, 3, 3, 9, 1], -1)
    p, q, pq = p / size, q / size, (pq / size).unflatten(-1, (3, 3))
    rotation = optimal_rotation(pq - p[..., :, None] * q[..., None, :])
    t = q - (rotation @ p[..., None])[..., 0]
    turned = (rotation.mT @ t[..., None])[..., 0]
    coefficients = torch.cat(
        [
            t.square().sum(-1, keepdim=True),
            2 * turned,
            -2 * t,
            -2 * rotation.mT.flatten(-2),
            torch.ones_like(size),
        ],
        -1,
    )
    return (coefficients @ features.mT).clamp_(min=0)


def _near(squared: Tensor, cutoff: float) -> Tensor:
    """[P, S, n] True within ``cutoff``, widened in steps of 0.5 Å until enough residues are."""
    near = squared < cutoff**2
    needed = min(FEWEST_INCLUDED, squared.shape[-1])
    few = near.sum(-1) < needed
    if few.any():
        sparse = squared[few]
        last = sparse.kthvalue(needed, dim=-1).values.sqrt()
        wider = cutoff + 0.5 * (((last - cutoff) / 0.5).floor() + 1)
        near[few] = sparse < wider.square()[:, None]
    return near
