"""How near predicted Cα traces come to the truth.

Coordinates are in ångström and residues correspond by position. Everything is computed in float64
on the CPU, so that every device gives the same numbers. Residues outside the mask count nowhere:
chains are stripped of them and measured together with others of the same length.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from minifold_core.errors import MinifoldError
from minifold_core.evaluation.chirality import left_handed
from minifold_core.evaluation.contacts import trace_precisions
from minifold_core.evaluation.lddt import chain_lddt
from minifold_core.evaluation.scores import SCORES
from minifold_core.evaluation.secondary import secondary_scores
from minifold_core.evaluation.threads import one_thread
from minifold_core.evaluation.tm import search
from minifold_core.geometry.superpose import superpose

ELEMENTS_AT_ONCE = 2**18
"""Numbers held per intermediate array: few enough to stay in the processor's cache."""

Kernel = Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]]
"""Scores [P] of predictions [P, n, 3] of targets [P, n, 3] at positions [P, n] along the chain."""


def compare_structures(
    pred: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    residue_index: Tensor | None = None,
) -> dict[str, Tensor]:
    """All scores of a batch of predicted traces.

    Args:
        pred: [B, L, 3] predicted Cα in ångström.
        target: [B, L, 3] true Cα in ångström.
        mask: [B, L] True where the true Cα is known; default everywhere.
        residue_index: [B, L] increasing positions along the chain, from 0, that jump where residues
            are missing; default 0 ... L-1. Separations count by them, and helices and strands end
            at jumps.

    Returns:
        [B] each, in this order: ``tm`` (Zhang & Skolnick 2004, by search), ``rmsd`` in ångström
        after the best superposition (Kabsch 1976, no reflection), ``gdt_ts`` and ``gdt_ha`` (Zemla
        2003), ``lddt`` (Mariani 2013, Cα only), ``precision_L_24`` and ``precision_L_33``
        (:func:`~minifold_core.evaluation.contacts.trace_precisions`), ``ss3``, ``helix_recall``
        and ``strand_recall``
        (:func:`~minifold_core.evaluation.secondary.secondary_scores`), ``left_handed``
        (:func:`~minifold_core.evaluation.chirality.left_handed`); NaN where a score is not defined
        for a chain. :data:`~minifold_core.evaluation.scores.SCORES` says what each means.

    Raises:
        MinifoldError: shapes differ, a chain has no known Cα, or a coordinate is not finite.
    """
    scores = _by_length(_all, pred, target, mask, residue_index)
    return {name: scores[name] for name in SCORES if name in scores}


def tm_score(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] TM-score, normalised by the target's known residues; see :func:`compare_structures`."""
    return _by_length(_search, pred, target, mask)["tm"]


def rmsd(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] RMSD in ångström after the best superposition; see :func:`compare_structures`."""
    return _by_length(_rmsd, pred, target, mask)["rmsd"]


def lddt(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] lDDT of Cα atoms, free of superposition; see :func:`compare_structures`."""
    return _by_length(_lddt, pred, target, mask)["lddt"]


def _by_length(
    kernel: Kernel,
    pred: Tensor,
    target: Tensor,
    mask: Tensor | None,
    residue_index: Tensor | None = None,
) -> dict[str, Tensor]:
    """Run ``kernel`` on chains [P, n, 3] without gaps, a group of equal n at a time."""
    pred, target = pred.detach().cpu().double(), target.detach().cpu().double()
    b, length = target.shape[:2]
    mask = torch.ones(b, length, dtype=torch.bool) if mask is None else mask.cpu().bool()
    index = torch.arange(length).expand(b, -1) if residue_index is None else residue_index.cpu()
    _check(pred, target, mask)
    lengths = mask.sum(1)
    results: dict[str, Tensor] = {}
    with one_thread():
        for n in lengths.unique().tolist():
            at_once = max(1, ELEMENTS_AT_ONCE // (5 * n * n))  # a search has about 5n fragments
            for rows in (lengths == n).nonzero()[:, 0].split(at_once):
                known = mask[rows]
                p, q = (x[rows][known].view(len(rows), n, 3) for x in (pred, target))
                for name, values in kernel(p, q, index[rows][known].view(len(rows), n)).items():
                    results.setdefault(name, pred.new_zeros(len(pred)))[rows] = values
    return results


def _check(pred: Tensor, target: Tensor, mask: Tensor) -> None:
    if pred.shape != target.shape or pred.shape[-1] != 3 or mask.shape != pred.shape[:2]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (pred, target, mask))
        raise MinifoldError(f"metrics: need [B, L, 3], [B, L, 3] and a mask [B, L]; got {shapes}")
    for what, wrong in {
        "has no known Cα": ~mask.any(1),
        "is predicted with coordinates that are not finite": (~pred.isfinite().all(-1) & mask).any(
            1
        ),
        "has true coordinates that are not finite": (~target.isfinite().all(-1) & mask).any(1),
    }.items():
        if wrong.any():
            raise MinifoldError(f"metrics: chain {int(wrong.nonzero()[0])} of the batch {what}")


def _all(pred: Tensor, target: Tensor, index: Tensor) -> dict[str, Tensor]:
    known = torch.ones_like(index, dtype=torch.bool)
    return (
        _search(pred, target, index)
        | _rmsd(pred, target, index)
        | _lddt(pred, target, index)
        | trace_precisions(pred, target, known, index)
        | secondary_scores(pred, target, known, index)
        | {"left_handed": left_handed(pred, known, index)}
    )


def _search(pred: Tensor, target: Tensor, _: Tensor) -> dict[str, Tensor]:
    return search(pred, target)._asdict()


def _rmsd(pred: Tensor, target: Tensor, _: Tensor) -> dict[str, Tensor]:
    moved = superpose(pred, target).apply(pred)
    return {"rmsd": (moved - target).square().sum(-1).mean(-1).sqrt()}


def _lddt(pred: Tensor, target: Tensor, _: Tensor) -> dict[str, Tensor]:
    return {"lddt": chain_lddt(pred, target)}
