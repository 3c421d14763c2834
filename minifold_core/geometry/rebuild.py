"""Full backbones from Cα traces.

C(i), O(i) and N(i+1) lie nearly in one plane with the Cα on either side of them, so that one angle
about the axis of the two Cα says where they are (Purisima & Scheraga 1984). The angles are
predicted from the trace, then shifted a little to what suits the angles N-Cα-C.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from minifold_core.errors import MinifoldError
from minifold_core.geometry.frames import at_least_fp32, safe_norm
from minifold_core.geometry.peptide_angles import is_cis, predict_angles
from minifold_core.geometry.peptide_planes import C_O, CA_C, N_CA, extended, peptide_atoms, turned

N_CA_C, CA_C_O = math.radians(111.0), math.radians(120.6)
"""Ideal angles, as in AlphaFold 2; with the second those about C sum to 360° at N-C-O = 122.8°."""
STIFFNESS, STEPS = 6.0, 10
"""Weight of the angles N-Cα-C against the predicted ones, and steps to their compromise."""
PHI, PSI = math.radians(-75.0), math.radians(140.0)
"""Torsions at the ends of a chain, of which its trace says nothing."""


def rebuild_backbone(ca: Tensor, sequence: str, residue_index: Tensor) -> Tensor:
    """The backbone of L-amino acids on a Cα trace, native or imperfect; every Cα stays in place.

    Bonds have ideal lengths. Between Cα that are too near or too far the angles of the peptide give
    way first, then the bond C-N. Where residue indices are not consecutive there is no bond. A
    peptide without a Cα on either side may have its plane anywhere about its axis.

    Args:
        ca: [L, 3] in ångström.
        sequence: L one-letter codes.
        residue_index: [L] increasing positions along the chain.

    Returns:
        [L, 4, 3] N, Cα, C, O in ångström, in the dtype of ``ca`` or else float32.

    Raises:
        MinifoldError: the three lengths disagree.
    """
    if not len(ca) == len(sequence) == len(residue_index):
        lengths = f"{len(ca)} Cα, {len(sequence)} letters and {len(residue_index)} residue indices"
        raise MinifoldError(f"no backbone from {lengths}; give one of each per residue")
    ca = at_least_fp32(ca)
    bonded = residue_index.diff() == 1
    cis = is_cis(ca, sequence)
    rotation, predicted = predict_angles(ca, sequence, bonded, cis)
    flat = peptide_atoms((ca[1:] - ca[:-1]).norm(dim=-1), cis)
    angle = settled(predicted, flat, rotation, bonded[1:] & bonded[:-1])
    local, _ = turned(flat, angle[:, None])
    origin = torch.stack([ca[:-1], ca[:-1], ca[1:]], 1)
    return with_ends(ca, origin + local @ rotation.mT, bonded)


def settled(predicted: Tensor, flat: Tensor, rotation: Tensor, joined: Tensor) -> Tensor:
    """[M] angles of planes that depart from the predicted ones for the sake of N-Cα-C.

    Gauss-Newton steps, with the curvature bounded by its diagonal, on the sum of p (1 - cos(angle -
    predicted)) over planes and STIFFNESS / 2 (cos N-Cα-C - cos 111°)² over residues.

    Args:
        predicted: [M, 2] cosines and sines, of length p.
        flat: [M, 3, 2] C, O and N of each peptide in its plane.
        rotation: [M, 3, 3] frames of the peptides.
        joined: [M-1] whether a peptide and the next one share a residue.
    """
    trust, target = safe_norm(predicted), torch.atan2(predicted[:, 1], predicted[:, 0])
    n, c = flat[:-1, 2] / N_CA, flat[1:, 0] / CA_C
    between = rotation[:-1].mT @ rotation[1:]
    angle = target
    for _ in range(STEPS):
        (n_at, n_slope), (c_at, c_slope) = turned(n, angle[:-1]), turned(c, angle[1:])
        n_at, n_slope = (torch.stack([n_at, n_slope], 1) @ between).unbind(1)
        excess = (n_at * c_at).sum(-1) - math.cos(N_CA_C)
        by_n, by_c = joined * (n_slope * c_at).sum(-1), joined * (n_at * c_slope).sum(-1)
        bound = by_n.abs() + by_c.abs()
        force = pad(by_n * excess, (0, 1)) + pad(by_c * excess, (1, 0))
        curvature = pad(by_n.abs() * bound, (0, 1)) + pad(by_c.abs() * bound, (1, 0))
        force = trust * (angle - target).sin() + STIFFNESS * force
        angle = angle - force / (trust + STIFFNESS * curvature)
    return angle


def with_ends(ca: Tensor, peptides: Tensor, bonded: Tensor) -> Tensor:
    """[L, 4, 3] residues made of the C, O and N of [L-1, 3, 3] peptides, extended where none is."""
    c, o, n = peptides.unbind(1)
    starts, ends = ~pad(bonded, (1, 0))[: len(ca), None], ~pad(bonded, (0, 1))[: len(ca), None]
    n, c_before = (torch.where(starts, ca, torch.cat([ca[:1], x])) for x in (n, c))
    c, o = (torch.cat([x, ca[-1:]]) for x in (c, o))
    c = torch.where(ends, extended(c_before, n, ca, CA_C, N_CA_C, PHI), c)
    o = torch.where(ends, extended(n, ca, c, C_O, CA_C_O, PSI + math.pi), o)
    n = torch.where(starts, extended(o, c, ca, N_CA, N_CA_C, PSI + math.pi), n)
    return torch.stack([n, ca, c, o], 1)
