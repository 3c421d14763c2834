"""Angles along a chain, their two-dimensional histograms, and how far two of those lie apart."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minifold_core.evaluation.peptides import phi_psi, units
from minifold_core.evaluation.trace import local_geometry, places

Floats = NDArray[np.float64]
Spans = tuple[tuple[float, float], tuple[float, float]]

BIN = np.deg2rad(10)
"""Side of a bin of every histogram of angles, in radians."""
PSEUDO_SPANS: Spans = ((0.0, np.pi), (-np.pi, np.pi))
RAMACHANDRAN_SPANS: Spans = ((-np.pi, np.pi), (-np.pi, np.pi))


def pseudo_angles(ca: Tensor, mask: Tensor, residue_index: Tensor) -> Tensor:
    """[M, 2] pseudo-bond angle at the second, and pseudo-dihedral, of four consecutive Cα.

    In radians, and NaN where one of the four is not known or the chain is broken between them.

    Args:
        ca: [L, 3] in ångström.
        mask: [L] which of them are known.
        residue_index: [L] positions along the chain, which is broken where they jump.
    """
    known, index = mask[None], residue_index[None]
    found = local_geometry(ca.double()[None], known, places(known, index))
    return torch.stack([found.angle[0], found.dihedral[0]], -1)


def ramachandran_angles(backbone: Tensor, mask: Tensor, residue_index: Tensor) -> Tensor:
    """[L, 2] φ and ψ of every residue in radians, NaN where an atom or a neighbour is not known.

    Args:
        backbone: [L, 4, 3] N, Cα, C, O in ångström.
        mask: [L, 4] which atoms are known.
        residue_index: [L] positions along the chain, which is broken where they jump.
    """
    parts = units(backbone.double()[None], mask[None], residue_index[None])
    return torch.stack(phi_psi(parts), -1)[0]


def histogram(angles: Tensor, spans: Spans) -> Floats:
    """Counts of angles [k, 2] in bins of 10° x 10° over ``spans``; NaN counts nowhere."""
    bins = [round((high - low) / BIN) for low, high in spans]
    pairs = angles.numpy()
    known = pairs[np.isfinite(pairs).all(-1)]
    return np.histogram2d(known[:, 0], known[:, 1], bins=bins, range=spans)[0]


def jensen_shannon(p: Floats, q: Floats) -> float:
    """Divergence in bits (Lin 1991) of two histograms of one shape: 0 equal, 1 without overlap.

    Counts are normalised and not smoothed: an empty bin is no trouble to this divergence. NaN
    where a histogram is empty.
    """
    p, q = p.ravel(), q.ravel()
    if not p.sum() or not q.sum():
        return float("nan")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    return max(0.0, (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2)


def _relative_entropy(p: Floats, q: Floats) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
