"""The centre and the size of sets of points of which some are known."""

from __future__ import annotations

from torch import Tensor


def centre(x: Tensor, mask: Tensor) -> Tensor:
    """[B, 1, 3] mean of the points of ``x`` [B, L, 3] in ``mask`` [B, L]; 0 where there is none."""
    known = mask[..., None].bool()
    total = x.masked_fill(~known, 0).sum(1, keepdim=True)
    return total / known.sum(1, keepdim=True).clamp(min=1)


def centred(x: Tensor, mask: Tensor) -> Tensor:
    """``x`` [B, L, 3] with the mean of its points in ``mask`` [B, L] moved to 0; 0 off mask."""
    return (x - centre(x, mask)).masked_fill(~mask[..., None], 0)


def radius_of_gyration(x: Tensor, mask: Tensor) -> Tensor:
    """[B] root mean square distance of the known points of [B, L, 3] from their centre."""
    squared = (x - centre(x, mask)).square().sum(-1)
    return ((squared * mask).sum(1) / mask.sum(1).clamp(min=1)).sqrt()
