"""lDDT of Cα atoms (Mariani 2013, *Bioinformatics* 29:2722), free of superposition."""

from __future__ import annotations

import torch
from torch import Tensor

RADIUS = 15.0
"""Ångström up to which a true distance counts."""
THRESHOLDS = (0.5, 1.0, 2.0, 4.0)
"""Ångström by which it may be wrong."""


def chain_lddt(pred: Tensor, target: Tensor) -> Tensor:
    """[P] share of all true distances of a chain that are kept, in the mean over the thresholds.

    Args:
        pred: [P, n, 3] predicted Cα in ångström.
        target: [P, n, 3] true Cα in ångström.
    """
    kept, possible = (counts.sum(1) for counts in _counts(pred, target))
    # A chain without any pair, such as a single residue, has no distance that could be wrong.
    return torch.where(possible > 0, kept / possible.clamp(min=1), 1.0).to(pred)


def residue_lddt(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[P, n] the same of the distances of each residue; NaN for one that has none.

    ``mask`` [P, n] tells residues that are there; default all.
    """
    kept, possible = _counts(pred, target, mask)
    return kept.to(pred) / possible


def _counts(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """[P, n] distances of each residue that are kept and that there are, once per threshold."""
    true = _distances(target)
    pair = (true < RADIUS) & ~torch.eye(target.shape[1], dtype=torch.bool, device=true.device)
    if mask is not None:
        pair &= mask[:, None] & mask[:, :, None]
    error = (_distances(pred) - true).abs()
    kept = torch.stack([(error <= limit) & pair for limit in THRESHOLDS]).sum((0, 3))
    return kept, len(THRESHOLDS) * pair.sum(2)


def _distances(x: Tensor) -> Tensor:
    return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
