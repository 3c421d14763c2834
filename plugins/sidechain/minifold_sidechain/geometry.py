"""Side-chain torsions of known atoms, and atoms from torsions. Everything is in ångström."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.geometry.frames import at_least_fp32, gram_schmidt, safe_norm
from minifold_core.residues import BACKBONE_ATOMS
from minifold_sidechain.config import CHIS
from minifold_sidechain.ideal import Tables, about_first, tables

N, CA, C, O = range(len(BACKBONE_ATOMS))  # noqa: E741 - the atoms' own names
FLAT = 1e-3
"""Product of the sines of a torsion's two angles beneath which three of its atoms lie in a line."""


def tables_for(x: Tensor) -> Tables:
    """The tables of ideal side chains on the device and in the dtype of ``x``."""
    return tables().to(x.device, x.dtype)


def place(backbone: Tensor, chi: Tensor, tokens: Tensor) -> Tensor:
    """Heavy side-chain atoms with ideal bonds and angles, outward from Cβ.

    Cβ has its ideal place between N, Cα and C. The frame of χ1 has its origin in Cβ, its first axis
    along the bond from Cα, and N in the plane of the first two; turned about that axis by χ1 it
    carries the atoms of its group, and the ideal frame of χ2, and so on (AlphaFold 2, suppl.
    Algorithm 24, whose backbone group is here the N, Cα and C that are given).

    Args:
        backbone: [..., 4, 3] N, Cα, C, O in ångström.
        chi: [..., 4, 2] cosines and sines of χ1-χ4, of length 1; what a residue has not is passed
            over.
        tokens: [...] residue tokens.

    Returns:
        [..., 10, 3] in the order of ``SIDECHAIN_ATOMS``; 0 where a residue has no such atom.
    """
    backbone, chi = at_least_fp32(backbone), at_least_fp32(chi)
    own = tables_for(backbone)
    position, group = own.position[tokens], own.group[tokens]
    n, ca = backbone[..., N, :], backbone[..., CA, :]
    placed = _in(ca, bisector_frames(backbone), position)
    origin = placed[..., 0, :]  # Cβ, of every residue that has a torsion
    frame = gram_schmidt(origin, 2 * origin - ca, n)
    for k in range(1, CHIS + 1):
        if k > 1:
            origin = origin + (frame @ own.shift[tokens][..., k, :, None]).squeeze(-1)
            frame = frame @ own.turn[tokens][..., k, :, :]
        frame = frame @ about_first(*chi[..., k - 1, :].unbind(-1))
        moved = group.eq(k)[..., None]
        placed = torch.where(moved, _in(origin, frame, position), placed)
    return placed.masked_fill(~own.atom_mask[tokens][..., None], 0)


def bisector_frames(backbone: Tensor) -> Tensor:
    """[..., 3, 3] frames at Cα of atoms [..., 4, 3], halfway between N and C.

    The first axis halves the angle N-Cα-C and N lies in the plane of the first two: what that angle
    is off its ideal moves Cβ half as far as in a frame along one bond.
    """
    ca = backbone[..., CA, :]
    n, c = (backbone[..., atom, :] - ca for atom in (N, C))
    middle = n / safe_norm(n)[..., None] + c / safe_norm(c)[..., None]
    return gram_schmidt(ca, ca + middle, ca + n)


def _in(origin: Tensor, frame: Tensor, local: Tensor) -> Tensor:
    """[..., A, 3] points at ``local`` in a frame."""
    return origin[..., None, :] + local @ frame.transpose(-1, -2)


def chi_angles(
    backbone: Tensor, sidechain: Tensor, known: Tensor, tokens: Tensor
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of χ1-χ4.

    Args:
        backbone: [..., 4, 3] in any unit.
        sidechain: [..., 10, 3] in the same.
        known: [..., 14] which of N, Cα, C, O and those atoms are known.
        tokens: [...] residue tokens.

    Returns:
        [..., 4, 2], of length 1 where the torsion is defined and 0 elsewhere, and [..., 4] where it
        is: the residue has it, its four atoms are known, and no three of them lie in a line.
    """
    atoms = at_least_fp32(torch.cat([backbone, sidechain], -2))
    own = tables_for(atoms)
    index = own.chi_atoms[tokens]  # [..., 4, 4]
    four = atoms.gather(-2, index.flatten(-2)[..., None].expand(*tokens.shape, 16, 3))
    a, b, c, d = four.unflatten(-2, (CHIS, 4)).unbind(-2)
    there = known.gather(-1, index.flatten(-2)).unflatten(-1, (CHIS, 4)).all(-1)
    both = torsion(a, b, c, d)
    defined = own.chi_mask[tokens] & there & (both.abs().amax(-1) > FLAT)
    both = torch.where(defined[..., None], both, 1.0)  # whose length has a gradient
    return both / safe_norm(both, 0.0)[..., None] * defined[..., None], defined


def torsion(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """[..., 2] cosine and sine of the torsion of points about ``b``-``c`` (IUPAC sign), both times
    the sines of the angles at ``b`` and ``c``; 0 where points coincide."""
    first, axis, last = (x / safe_norm(x, 1e-12)[..., None] for x in (b - a, c - b, d - c))
    before, after = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    along = (torch.linalg.cross(before, after) * axis).sum(-1)
    return torch.stack([(before * after).sum(-1), along], -1)
