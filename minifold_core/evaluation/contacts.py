"""Contacts: pairs of residues whose Cα are within 8 Å, and how well scores rank them."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import pairwise_distances
from minifold_core.interfaces import FLOOR

CONTACT = 8.0
"""Cα distance in ångström below which two residues are in contact."""


def native_contacts(truth: Truth) -> tuple[Tensor, Tensor, Tensor]:
    """Which residues touch, as far as it is known.

    Returns:
        [B, L, L] True for pairs in contact; [B, L, L] True for pairs whose two Cα are known;
        [B, L, L] their separation along the chain.
    """
    known = truth.mask[:, :, None] & truth.mask[:, None, :]
    distances = pairwise_distances(truth.ca) * truth.scale[:, None, None]
    index = truth.residue_index
    return distances.lt(CONTACT) & known, known, (index[:, :, None] - index[:, None, :]).abs()


def precision_of_top(scores: Tensor, contact: Tensor, among: Tensor, count: int) -> float:
    """Share of contacts among the ``count`` pairs of highest score; NaN without pairs.

    Pairs of equal score count by the mean over all orders, so that a score with few values is
    judged without luck. With fewer than ``count`` pairs all of them are taken.

    Args:
        scores: [L, L], symmetric.
        contact: [L, L] True for pairs in contact.
        among: [L, L] True for the pairs to choose from; those with i < j are used.
        count: how many, at least one.
    """
    among = among.triu(1)
    values, hits = scores[among], contact[among].double()
    count = min(count, len(values))
    if not count:
        return float("nan")
    last = values.topk(count).values[-1]
    above, tied = values > last, values == last
    sure = hits[above].sum()
    return float((sure + (count - above.sum()) * hits[tied].mean()) / count)


def precisions(
    scores: Tensor,
    truth: Truth,
    separations: tuple[int, ...] = (6, 12, 24),
    shares: tuple[int, ...] = (1, 2, 5),
) -> dict[str, Tensor]:
    """Precision of the L, L/2 and L/5 best-scored pairs, L being a chain's known residues.

    Args:
        scores: [B, L, L], symmetric.
        truth: B native structures.
        separations: least |i - j| of the pairs to choose from.
        shares: the divisors of L.

    Returns:
        ``precision_L_24``, ``precision_L2_24`` and so on, each [B], NaN where no pair is as far
        apart along the chain.
    """
    return _precisions(scores.detach(), *native_contacts(truth), separations, shares)


def trace_precisions(
    pred: Tensor, target: Tensor, mask: Tensor, residue_index: Tensor
) -> dict[str, Tensor]:
    """Precision of the L pairs that a predicted trace brings nearest, L being the known residues.

    Args:
        pred: [B, L, 3] predicted Cα in ångström.
        target: [B, L, 3] true Cα in ångström.
        mask: [B, L] True where the true Cα is known.
        residue_index: [B, L].

    Returns:
        ``precision_L_24`` [B], of pairs at least 24 residues apart in sequence, and
        ``precision_L_33`` [B], of those more than 32 apart; NaN where no pair is.
    """
    known = mask[:, :, None] & mask[:, None, :]
    contact = pairwise_distances(target).lt(CONTACT) & known
    separation = (residue_index[:, :, None] - residue_index[:, None, :]).abs()
    return _precisions(-pairwise_distances(pred), contact, known, separation, (24, 33), (1,))


def _precisions(
    scores: Tensor,
    contact: Tensor,
    known: Tensor,
    separation: Tensor,
    separations: tuple[int, ...],
    shares: tuple[int, ...],
) -> dict[str, Tensor]:
    lengths = known.diagonal(dim1=1, dim2=2).sum(1).tolist()
    figures = {}
    for least in separations:
        among = known & separation.ge(least)
        for share in shares:
            name = f"precision_L{share if share > 1 else ''}_{least}"
            figures[name] = torch.tensor(
                [
                    precision_of_top(scores[b], contact[b], among[b], max(length // share, 1))
                    for b, length in enumerate(lengths)
                ],
                dtype=torch.float64,
            )
    return figures


def contact_figures(probabilities: Tensor, truth: Truth, min_separation: int) -> dict[str, Tensor]:
    """How well contacts are found, beside a predictor that knows separations alone.

    Args:
        probabilities: [B, L, L], symmetric.
        truth: B native structures.
        min_separation: least |i - j| of the pairs that recall and precision count.

    Returns:
        ``contact_recall`` and ``contact_precision`` of pairs with a probability of a half or more;
        ``precision_L_24`` and so on of the best-scored pairs (:func:`precisions`), and
        ``floor_precision_L_24`` of the pairs that are nearest along the chain. Each [B], NaN where
        there is nothing to count.
    """
    contact, known, separation = native_contacts(truth)
    judged = known & separation.ge(min_separation)
    called = probabilities.ge(0.5) & judged
    hits = (called & contact).sum((1, 2)).double()
    figures = {
        "contact_recall": hits / (judged & contact).sum((1, 2)),
        "contact_precision": hits / called.sum((1, 2)),
    }
    floors = precisions(-separation.double(), truth)
    figures |= precisions(probabilities, truth)
    return figures | {f"{FLOOR}{name}": value for name, value in floors.items()}
