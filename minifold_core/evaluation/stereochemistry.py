"""Bond lengths, bond angles and peptide planes of a backbone against ideal values.

Ideal values and standard deviations are those of Engh & Huber (1991, *Acta Cryst.* A47:392) for
general residues, glycine and proline; peptide bonds vary by those of Engh & Huber (2001,
*International Tables for Crystallography* F, table 18.3.2.3).
"""

from __future__ import annotations

from math import pi, radians
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from minifold_core.evaluation.peptides import (
    CA,
    GENERAL,
    GLYCINE,
    NEXT_CA,
    NEXT_N,
    PROLINE,
    C,
    N,
    O,
    Units,
    kinds,
    may_be_proline,
)
from minifold_core.geometry.angles import angle

OMEGA_SD = radians(6.2)


class Ideal(NamedTuple):
    """A bond or an angle: its atoms, and mean and standard deviation by kind of residue.

    Attributes:
        atoms: two of a bond or three of an angle.
        general: in ångström or degrees.
        glycine: the same for glycine.
        proline: the same for proline.
        whose: the residue whose kind counts; ``either`` is the next one if that is proline.
    """

    atoms: tuple[int, ...]
    general: tuple[float, float]
    glycine: tuple[float, float]
    proline: tuple[float, float]
    whose: Literal["own", "next", "either"] = "own"


BONDS = (
    Ideal((N, CA), (1.458, 0.019), (1.451, 0.016), (1.466, 0.015)),
    Ideal((CA, C), (1.525, 0.021), (1.516, 0.018), (1.525, 0.021)),
    Ideal((C, O), (1.231, 0.020), (1.231, 0.020), (1.231, 0.020)),
    Ideal((C, NEXT_N), (1.329, 0.014), (1.329, 0.014), (1.341, 0.016), "next"),
)
ANGLES = (
    Ideal((N, CA, C), (111.2, 2.8), (112.5, 2.9), (111.8, 2.5)),
    Ideal((CA, C, O), (120.8, 1.7), (120.8, 2.1), (120.8, 1.7)),
    Ideal((CA, C, NEXT_N), (116.2, 2.0), (116.4, 2.1), (116.9, 1.5), "either"),
    Ideal((O, C, NEXT_N), (123.0, 1.6), (123.0, 1.6), (122.0, 1.4), "next"),
    Ideal((C, NEXT_N, NEXT_CA), (121.7, 1.8), (120.6, 1.7), (122.6, 5.0), "next"),
)


def stereochemistry(parts: Units, tokens: Tensor) -> dict[str, Tensor]:
    """Root mean square deviations in units of the standard deviations.

    Args:
        parts: of :func:`~minifold_core.evaluation.peptides.units`.
        tokens: [B, L] residue ids.

    Returns:
        ``bond_z`` over all bond lengths, ``angle_z`` over all bond angles and ``omega_z`` over all
        peptide bonds, [B] each, NaN where a chain has none. ω is compared with 180°; before
        proline, or before a residue that is not known, with 0° where that is nearer.
    """
    lengths = [_lengths(parts, ideal) for ideal in BONDS]
    angles = [torch.rad2deg(angle(*_points(parts, ideal))) for ideal in ANGLES]
    return {
        "bond_z": _pooled(parts, tokens, BONDS, lengths),
        "angle_z": _pooled(parts, tokens, ANGLES, angles),
        "omega_z": _omega(parts, tokens),
    }


def _points(parts: Units, ideal: Ideal) -> tuple[Tensor, ...]:
    return tuple(parts.atoms[:, :, atom] for atom in ideal.atoms)


def _lengths(parts: Units, ideal: Ideal) -> Tensor:
    first, second = _points(parts, ideal)
    return torch.linalg.vector_norm(first - second, dim=-1)


def _pooled(
    parts: Units, tokens: Tensor, ideals: tuple[Ideal, ...], values: list[Tensor]
) -> Tensor:
    own = kinds(tokens)
    following = own.roll(-1, 1)
    whose = {"own": own, "next": following, "either": own.where(following != PROLINE, PROLINE)}
    z, known = [], []
    for ideal, value in zip(ideals, values, strict=True):
        by_kind = {GENERAL: ideal.general, GLYCINE: ideal.glycine, PROLINE: ideal.proline}
        table = value.new_tensor([by_kind[kind] for kind in sorted(by_kind)])
        mean, sd = table[whose[ideal.whose]].unbind(-1)
        z.append((value - mean) / sd)
        known.append(parts.have(*ideal.atoms))
    return _root_mean_square(torch.stack(z, -1), torch.stack(known, -1))


def _omega(parts: Units, tokens: Tensor) -> Tensor:
    atoms = (CA, C, NEXT_N, NEXT_CA)
    omega = parts.dihedral(*atoms).abs()
    cis = may_be_proline(tokens).roll(-1, 1) & (omega < pi / 2)
    error = omega.where(cis, pi - omega) / OMEGA_SD
    return _root_mean_square(error[..., None], parts.have(*atoms)[..., None])


def _root_mean_square(z: Tensor, known: Tensor) -> Tensor:
    return (z.square().where(known, 0).sum((1, 2)) / known.sum((1, 2))).sqrt()
