"""Optimal rigid superposition of two sets of corresponding points.

The rotation is found as a unit quaternion (Horn 1987, *J. Opt. Soc. Am. A* 4:629), which solves the
problem of Kabsch (1976) among proper rotations only: a mirror image is never superimposed by
reflection, and points that leave the rotation undetermined (one, two, collinear or coincident)
still give a finite optimal one.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.frames import at_least_fp32, quaternion_to_rotation


class Superposition(NamedTuple):
    """A rigid motion ``x -> rotation @ x + translation``.

    Attributes:
        rotation: [..., 3, 3], determinant +1.
        translation: [..., 3] in the unit of the points.
    """

    rotation: Tensor
    translation: Tensor

    def apply(self, points: Tensor) -> Tensor:
        """Move points [..., L, 3]."""
        rotation, translation = self.rotation.to(points), self.translation.to(points)
        return points @ rotation.mT + translation[..., None, :]


def optimal_rotation(covariance: Tensor) -> Tensor:
    """The proper rotation R that maximises the trace of R @ covariance (Horn 1987, section 4).

    Args:
        covariance: [..., 3, 3] sum over points of mobile ⊗ target, both centred.

    Returns:
        [..., 3, 3] that turns the mobile points onto the target; the identity for a covariance that
        is not finite, which no decomposition takes.
    """
    covariance = covariance.where(covariance.isfinite().all(-1).all(-1)[..., None, None], 0)
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = (row.unbind(-1) for row in covariance.unbind(-2))
    upper = [
        xx + yy + zz, yz - zy, zx - xz, xy - yx,
        xx - yy - zz, xy + yx, zx + xz,
        yy - xx - zz, yz + zy,
        zz - xx - yy,
    ]  # fmt: skip
    order = torch.tensor([0, 1, 2, 3, 1, 4, 5, 6, 2, 5, 7, 8, 3, 6, 8, 9], device=covariance.device)
    horn = torch.stack(upper, -1).index_select(-1, order).unflatten(-1, (4, 4))
    # Eigenvalues ascend, so the best quaternion is the first of the negated matrix; in that order a
    # covariance of zero gives the identity.
    return quaternion_to_rotation(torch.linalg.eigh(-horn).eigenvectors[..., 0])


def superpose(mobile: Tensor, target: Tensor, weights: Tensor | None = None) -> Superposition:
    """The rigid motion of ``mobile`` with the least weighted squared distance to ``target``.

    Computed in float64 and without gradient.

    Args:
        mobile: [..., L, 3] points.
        target: [..., L, 3] points in the same unit.
        weights: [..., L] non-negative weights or a boolean mask; default 1 everywhere. What lies at
            weight 0 may be anything, NaN included.

    Returns:
        The motion, in the dtype of the points (at least float32); the identity where all weights
        are zero.
    """
    with torch.no_grad():
        x, y = mobile.double(), target.double()
        w = torch.ones_like(x[..., 0]) if weights is None else weights.to(x)
        w = w / w.sum(-1, keepdim=True).clamp(min=torch.finfo(w.dtype).tiny)
        used = w[..., None] > 0
        x, y = x.where(used, 0), y.where(used, 0)
        centre_x, centre_y = (w[..., None, :] @ x)[..., 0, :], (w[..., None, :] @ y)[..., 0, :]
        x, y = x - centre_x[..., None, :], y - centre_y[..., None, :]
        rotation = optimal_rotation((w[..., None] * x).mT @ y)
        translation = centre_y - (rotation @ centre_x[..., None])[..., 0]
    dtype = at_least_fp32(mobile).dtype
    return Superposition(rotation.to(dtype), translation.to(dtype))
