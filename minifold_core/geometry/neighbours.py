"""Neighbours along the chain."""

from __future__ import annotations

import torch
from torch import Tensor


def neighbours(k: int, mask: Tensor, residue_index: Tensor) -> tuple[Tensor, Tensor]:
    """The residue ``k`` places further on along the chain; ``k`` may be negative.

    Args:
        k: how many places.
        mask: [B, L] True where there is a residue.
        residue_index: [B, L] position along the chain, which jumps where residues are missing.

    Returns:
        [L] where in the batch's rows it stands, and [B, L] whether it is there: both residues are
        known, and as far apart in numbers as in rows.
    """
    here = torch.arange(mask.shape[1], device=mask.device)
    there = (here + k).clamp(0, len(here) - 1)
    step = residue_index[:, there] - residue_index
    return there, mask & mask[:, there] & step.eq(k) & there.eq(here + k)
