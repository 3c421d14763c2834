"""Planar peptides of ideal covalent geometry between given Cα; lengths in ångström."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from minifold_core.geometry.frames import gram_schmidt

N_CA, CA_C, C_N, C_O = 1.458, 1.523, 1.329, 1.231
"""Ideal bond lengths, as in AlphaFold 2; the second nitrogen is the next residue's."""
ANGLES = {"trans": (116.6, 121.4), "cis": (118.0, 126.3)}
"""Angles Cα-C-N and C-N-Cα in degrees, which leave 3.80 and 2.91 Å between the Cα."""
MAX_BEND = 30
"""Most degrees by which both open or close to span other distances: 3.24 to 4.17 Å when trans."""


@cache
def bent_peptides(kind: str) -> tuple[Tensor, Tensor]:
    """Peptides bent degree by degree: their [K] ascending Cα-Cα distances and [K, 3, 2] atoms."""
    bend = torch.arange(-MAX_BEND, MAX_BEND + 1, dtype=torch.float64).deg2rad()
    turn_c, turn_n = (math.pi - math.radians(angle) - bend for angle in ANGLES[kind])
    if kind == "trans":
        turn_n = -turn_n
    c = torch.polar(torch.full_like(bend, CA_C), torch.zeros_like(bend))
    # O halves the outer angle at C.
    c_o = torch.polar(torch.full_like(bend, C_O), (turn_c - math.pi) / 2)
    c_n = torch.polar(torch.full_like(bend, C_N), turn_c)
    n_ca = torch.polar(torch.full_like(bend, N_CA), turn_c + turn_n)
    span = c + c_n + n_ca
    atoms = torch.stack([c, c + c_o, -n_ca], -1) * (span.conj() / span.abs())[:, None]
    return span.abs(), torch.stack([atoms.real, -atoms.imag], -1)


def peptide_atoms(distance: Tensor, cis: Tensor) -> Tensor:
    """Where C, O and N of peptides lie in their planes.

    Args:
        distance: [M] from Cα to Cα; what bending cannot span is left to the C-N bond.
        cis: [M] which peptides are cis.

    Returns:
        [M, 3, 2] C and O from the first Cα, N from the second; the first axis points from Cα to
        Cα, O lies on the positive side of it.
    """
    trans = _spanning(distance, *bent_peptides("trans"))
    return torch.where(cis[:, None, None], _spanning(distance, *bent_peptides("cis")), trans)


def _spanning(distance: Tensor, spans: Tensor, atoms: Tensor) -> Tensor:
    spans, atoms = spans.to(distance), atoms.to(distance)
    k = torch.searchsorted(spans, distance).clamp(1, len(spans) - 1)
    part = ((distance - spans[k - 1]) / (spans[k] - spans[k - 1])).clamp(0, 1)
    return torch.lerp(atoms[k - 1], atoms[k], part[:, None, None])


def turned(flat: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """[..., 3] points [..., 2] turned about the first axis, and the derivative by the angle."""
    x, y = flat.unbind(-1)
    across, up = y * angle.cos(), y * angle.sin()
    return torch.stack([x, across, up], -1), torch.stack([0 * x, -up, across], -1)


def extended(
    a: Tensor, b: Tensor, c: Tensor, length: float, angle: float, torsion: float
) -> Tensor:
    """[..., 3] atoms bonded to ``c``, at an angle b-c-d and a torsion a-b-c-d (Parsons 2005)."""
    across = math.sin(angle)
    d = [math.cos(angle), across * math.cos(torsion), -across * math.sin(torsion)]
    return c + length * (gram_schmidt(c, b, a) @ c.new_tensor(d))
