"""Angles and dihedrals of points, in radians; zero, never NaN, where points coincide."""

from __future__ import annotations

import torch
from torch import Tensor


def angle(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """[...] angles at ``b``, from 0 to π, of points [..., 3]."""
    first, second = a - b, c - b
    across = torch.linalg.vector_norm(torch.linalg.cross(first, second), dim=-1)
    return torch.atan2(across, (first * second).sum(-1))


def dihedral(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[...] torsions about ``b``-``c``, from -π to π (IUPAC sign), of points [..., 3]."""
    axis = c - b
    before, after = torch.linalg.cross(b - a, axis), torch.linalg.cross(axis, d - c)
    along = (torch.linalg.cross(before, after) * axis).sum(-1)
    length = torch.linalg.vector_norm(axis, dim=-1)
    return torch.atan2(along, (before * after).sum(-1) * length)
