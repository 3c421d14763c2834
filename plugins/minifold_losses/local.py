"""Losses on neighbours along the chain; none of them reaches across a chain break."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import safe_norm
from minifold_losses.base import FullPrecisionLoss, masked_mean
from minifold_losses.config import AngleConfig, BondConfig, ChiralityConfig


def _steps(ca: Tensor) -> Tensor:
    """[B, L-1, 3] vectors from each Cα to the next."""
    return ca[:, 1:] - ca[:, :-1]


def _directions(ca: Tensor) -> Tensor:
    """[B, L-1, 3] unit vectors from each Cα to the next, zero between coincident points."""
    steps = _steps(ca)
    return steps / safe_norm(steps)[..., None]


class BondLoss(FullPrecisionLoss):
    """Squared error of consecutive Cα distances against one length, in squared model units."""

    config: BondConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        length = (self.config.length / truth.scale)[:, None]
        error = safe_norm(_steps(prediction["coords"])) - length
        return masked_mean(error.pow(2), truth.bonded(2))


class AngleLoss(FullPrecisionLoss):
    """Squared error of the cosines of Cα-Cα-Cα angles, against the native ones."""

    config: AngleConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        error = _cosines(prediction["coords"]) - _cosines(truth.ca)
        return masked_mean(error.pow(2), truth.bonded(3))


class ChiralityLoss(FullPrecisionLoss):
    """Squared error of the signed volumes of Cα quartets, against the native ones.

    The volume of three consecutive steps, ``v1 · (v2 × v3) / (|v1| |v2| |v3|)``, lies in [-1, 1]
    and changes sign in a mirror.
    """

    config: ChiralityConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``coords`` [B, L, 3]."""
        error = _volumes(prediction["coords"]) - _volumes(truth.ca)
        return masked_mean(error.pow(2), truth.bonded(4))


def _cosines(ca: Tensor) -> Tensor:
    """[B, L-2] cosines of the angles at the inner Cα atoms."""
    e = _directions(ca)
    return -(e[:, :-1] * e[:, 1:]).sum(-1)


def _volumes(ca: Tensor) -> Tensor:
    """[B, L-3] normalised signed volumes of quartets."""
    e = _directions(ca)
    return (e[:, :-2] * torch.linalg.cross(e[:, 1:-1], e[:, 2:])).sum(-1)
