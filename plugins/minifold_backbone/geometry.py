"""Ideal backbone geometry, and how residues are placed with it.

An *N-Cα-C frame* has its origin at Cα, its first axis towards C, and N in the plane of the first
two axes, on the positive side (AlphaFold 2, suppl. Algorithm 21). Everything here is in ångström.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minifold_core.geometry.frames import gram_schmidt, safe_norm
from minifold_core.geometry.peptide_planes import C_O, CA_C, N_CA
from minifold_core.geometry.rebuild import CA_C_O, N_CA_C

N, CA, C, O = range(4)  # noqa: E741 - the atoms' own names
"""Places of the atoms on the atom axis."""

COS_N_CA_C, COS_CA_C_O = math.cos(N_CA_C), math.cos(CA_C_O)
COS_CA_C_N, COS_C_N_CA = -0.4473, -0.5203
"""Cosines of the ideal bond angles; the last two (116.6°, 121.4°) from AlphaFold 2, 1.9.11."""

NITROGEN = (N_CA * COS_N_CA_C, N_CA * math.sqrt(1 - COS_N_CA_C**2), 0.0)
CARBON = (CA_C, 0.0, 0.0)
"""Where N and C lie in their own frame, in ångström."""
EXTENDED = (math.cos(math.radians(-45.0)), math.sin(math.radians(-45.0)))
"""Direction of O about the Cα-C bond at ψ = 135°, for residues with no next one to decide it."""

COLLINEAR = 1e-3
"""A vector across an axis that is shorter than this, in ångström, has no direction."""


def backbone_rotations(backbone: Tensor) -> Tensor:
    """[..., 3, 3] N-Cα-C frames of atoms [..., 4, 3]; finite whatever coincides."""
    return gram_schmidt(backbone[..., CA, :], backbone[..., C, :], backbone[..., N, :])


def to_global(origin: Tensor, rotation: Tensor, local: Tensor) -> Tensor:
    """[..., A, 3] points that are at ``local`` in the frame of ``rotation`` at ``origin``."""
    return origin[..., None, :] + local @ rotation.transpose(-1, -2)


def to_local(origin: Tensor, rotation: Tensor, points: Tensor) -> Tensor:
    """[..., A, 3] the inverse of :func:`to_global`."""
    return (points - origin[..., None, :]) @ rotation


def ideal_atoms(oxygen: Tensor) -> Tensor:
    """[..., 4, 3] N, Cα, C, O with ideal lengths and angles, in their N-Cα-C frame, in ångström.

    Args:
        oxygen: [..., 2] cosine and sine of the torsion N-Cα-C-O, which is ψ + 180° where the
            peptide group is planar.
    """
    along = torch.full_like(oxygen[..., :1], CA_C - C_O * COS_CA_C_O)
    across = C_O * math.sqrt(1 - COS_CA_C_O**2) * oxygen
    rigid = oxygen.new_tensor([NITROGEN, (0.0, 0.0, 0.0), CARBON])
    rigid = rigid.expand(*oxygen.shape[:-1], 3, 3)
    return torch.cat([rigid, torch.cat([along, across], -1)[..., None, :]], -2)


def oxygen_opposite(next_nitrogen: Tensor) -> Tensor:
    """[..., 2] the direction of O for :func:`ideal_atoms` that makes the peptide group planar.

    O lies in the plane of Cα, C and the next N, on the other side of the Cα-C bond: this is ψ.

    Args:
        next_nitrogen: [..., 3] the next residue's N in the N-Cα-C frame, in ångström.
    """
    extended = next_nitrogen.new_tensor(EXTENDED)
    return direction(-next_nitrogen[..., 1:], extended)


def direction(vector: Tensor, fallback: Tensor) -> Tensor:
    """[..., 2] ``vector`` at unit length; ``fallback``, a unit vector, where it is hardly any."""
    vector = torch.where(safe_norm(vector, 0.0)[..., None] > COLLINEAR, vector, fallback)
    return vector / safe_norm(vector, 0.0)[..., None]


def unit(vector: Tensor) -> Tensor:
    """[..., 3] ``vector`` at unit length, shorter where its points all but coincide."""
    return vector / safe_norm(vector)[..., None]


def cosine(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """[...] cosines of the angles at ``b`` between points [..., 3]."""
    return (unit(a - b) * unit(c - b)).sum(-1)


def torsion(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[..., 2] cosine and sine of the torsion about ``b``-``c`` of points [..., 3] (IUPAC sign).

    Zero, with a finite gradient, where three of the points are collinear.
    """
    first, axis, last = unit(b - a), unit(c - b), unit(d - c)
    before, after = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    sine = (torch.linalg.cross(before, after) * axis).sum(-1)
    both = torch.stack([(before * after).sum(-1), sine], -1)
    return both / safe_norm(both, 1e-10)[..., None]
