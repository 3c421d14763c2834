"""How near predicted Cα traces come to the truth: TM-score, GDT-TS, RMSD and lDDT.

Coordinates are in ångström and residues correspond by position. Everything is computed in float64
on the CPU, so that every device gives the same numbers. Residues outside the mask count nowhere:
chains are stripped of them and measured together with others of the same length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from minifold_core.errors import MinifoldError
from minifold_core.evaluation.tm import search
from minifold_core.geometry.superpose import superpose

METRICS = ("tm", "rmsd", "gdt_ts", "lddt")
LDDT_RADIUS = 15.0
LDDT_THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
ELEMENTS_AT_ONCE = 2**18
"""Numbers held per intermediate array: few enough to stay in the processor's cache."""

Kernel = Callable[[Tensor, Tensor], dict[str, Tensor]]


def compare_structures(
    pred: Tensor, target: Tensor, mask: Tensor | None = None
) -> dict[str, Tensor]:
    """All metrics of a batch of predictions.

    Args:
        pred: [B, L, 3] predicted Cα in ångström.
        target: [B, L, 3] true Cα in ångström.
        mask: [B, L] True where the true Cα is known; default everywhere.

    Returns:
        ``tm`` [B] (Zhang & Skolnick 2004, by search), ``rmsd`` [B] in ångström after the best
        superposition (Kabsch 1976, no reflection), ``gdt_ts`` [B] (Zemla 2003) and ``lddt`` [B]
        (Mariani 2013, Cα only), all but the RMSD between 0 and 1.

    Raises:
        MinifoldError: shapes differ, a chain has no known Cα, or a coordinate is not finite.
    """
    return _by_length(lambda p, q: _search(p, q) | _rmsd(p, q) | _lddt(p, q), pred, target, mask)


def tm_score(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] TM-score, normalised by the target's known residues; see :func:`compare_structures`."""
    return _by_length(_search, pred, target, mask)["tm"]


def gdt_ts(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] GDT-TS, each cutoff with its own superposition; see :func:`compare_structures`."""
    return _by_length(_search, pred, target, mask)["gdt_ts"]


def rmsd(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] RMSD in ångström after the best superposition; see :func:`compare_structures`."""
    return _by_length(_rmsd, pred, target, mask)["rmsd"]


def lddt(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[B] lDDT of Cα atoms, free of superposition; see :func:`compare_structures`."""
    return _by_length(_lddt, pred, target, mask)["lddt"]


def _by_length(
    kernel: Kernel, pred: Tensor, target: Tensor, mask: Tensor | None
) -> dict[str, Tensor]:
    """Run ``kernel`` on chains [P, n, 3] without gaps, a group of equal n at a time."""
    pred, target = pred.detach().cpu().double(), target.detach().cpu().double()
    mask = torch.ones(target.shape[:2], dtype=torch.bool) if mask is None else mask.cpu().bool()
    _check(pred, target, mask)
    lengths = mask.sum(1)
    results: dict[str, Tensor] = {}
    with _one_thread():
        for n in lengths.unique().tolist():
            at_once = max(1, ELEMENTS_AT_ONCE // (5 * n * n))  # a search has about 5n fragments
            for rows in (lengths == n).nonzero()[:, 0].split(at_once):
                known = mask[rows]
                p, q = (x[rows][known].view(len(rows), n, 3) for x in (pred, target))
                for name, values in kernel(p, q).items():
                    results.setdefault(name, pred.new_zeros(len(pred)))[rows] = values
    return results


@contextmanager
def _one_thread() -> Iterator[None]:
    """Arrays this small gain nothing from a second thread, and lose tenfold on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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


def _search(pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    return search(pred, target)._asdict()


def _rmsd(pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    moved = superpose(pred, target).apply(pred)
    return {"rmsd": (moved - target).square().sum(-1).mean(-1).sqrt()}


def _lddt(pred: Tensor, target: Tensor) -> dict[str, Tensor]:
    true = _distances(target)
    pair = (true < LDDT_RADIUS) & ~torch.eye(target.shape[1], dtype=torch.bool)
    error = (_distances(pred) - true).abs()
    kept = torch.stack([(error <= limit) & pair for limit in LDDT_THRESHOLDS]).sum((0, 2, 3))
    possible = len(LDDT_THRESHOLDS) * pair.sum((1, 2))
    # A chain without any pair, such as a single residue, has no distance that could be wrong.
    return {"lddt": torch.where(possible > 0, kept / possible.clamp(min=1), 1.0).to(pred)}


def _distances(x: Tensor) -> Tensor:
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
