"""Losses on residue frames, which are chiral: no mirror image satisfies them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import ca_rotations
from minifold_losses.base import FullPrecisionLoss, masked_mean
from minifold_losses.config import FAPEConfig, FrameRotationConfig

FAPE_EPS = 1e-8
"""Added to squared errors, in squared model units: FAPE at the truth is 1e-4 units, 0.001 Å."""


class FAPELoss(FullPrecisionLoss):
    """Frame aligned point error in model units (AlphaFold 2, suppl. Algorithm 28, with Z = 1).

    ``mean_{f,j} min(|R_f^T (x_j - o_f) - R*_f^T (x*_j - o*_f)|, clamp)`` over frames f and
    residues j; a frame's origin is its own Cα and its rotation the predicted one, or one rebuilt
    from the predicted trace.
    """

    config: FAPEConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3] and, if they are not rebuilt, ``rotations``."""
        coords = prediction["coords"]
        if self.config.frames == "rebuilt":
            rotations = ca_rotations(coords, truth.mask)
        else:
            rotations = prediction["rotations"]
        squares = _squared_errors(coords, rotations, truth.ca, truth.rotations)
        error = (squares + FAPE_EPS).sqrt()
        if self.config.clamp is not None:
            error = error.minimum((self.config.clamp / truth.scale)[:, None, None])
        return masked_mean(error, truth.frame_mask[:, :, None] & truth.mask[:, None, :])


def _squared_errors(x: Tensor, r: Tensor, x_true: Tensor, r_true: Tensor) -> Tensor:
    """[B, F, J] squared point errors, as one matrix product.

    The error is linear in (x_j, x*_j, 1): three rows of seven coefficients for each frame. Unlike
    an expansion of the square this assumes no orthogonality, so gradients are exact.
    """
    into, into_true = r.transpose(-1, -2), r_true.transpose(-1, -2)
    shift = into @ x[..., None] - into_true @ x_true[..., None]
    coefficients = torch.cat([into, -into_true, -shift], -1).flatten(1, 2)
    points = torch.cat([x, x_true, torch.ones_like(x[..., :1])], -1)
    error = coefficients @ points.transpose(-1, -2)
    return error.unflatten(1, (-1, 3)).pow(2).sum(2)


class FrameRotationLoss(FullPrecisionLoss):
    """``1 - cos θ`` of the rotation between predicted and native frames, mean over frames.

    ``cos θ = (tr(R^T R*) - 1) / 2``; random rotations score 1.5.
    """

    config: FrameRotationConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``rotations`` [B, L, 3, 3]."""
        trace = (prediction["rotations"] * truth.rotations).sum((-1, -2))
        return masked_mean((3 - trace) / 2, truth.frame_mask)
