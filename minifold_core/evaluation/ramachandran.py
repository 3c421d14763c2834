"""Where natural residues lie in the plane of φ and ψ, and how many of a backbone lie elsewhere.

``ramachandran.npz`` beside this file counts the residues of natural chains in cells of 5°, apart
for glycine, proline and all others; ``scripts/make_ramachandran.py`` made it and says from which.
"""

from __future__ import annotations

from functools import cache
from math import pi, radians
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minifold_core.evaluation.peptides import Units, kinds, phi_psi

TABLE = Path(__file__).with_name("ramachandran.npz")
CELLS = 72
"""Along each axis, from -180° to 180°."""
SMOOTHING = radians(6.0)
"""Standard deviation of the kernel that spreads each count."""
FAVOURED, ALLOWED = 0.98, 0.9995
"""What the two regions hold of natural residues (Lovell 2003, *Proteins* 50:437)."""


def ramachandran(parts: Units, tokens: Tensor) -> dict[str, Tensor]:
    """Residues in places where few or no natural ones are.

    Args:
        parts: of :func:`~minifold_core.evaluation.peptides.units`.
        tokens: [B, L] residue ids; what is neither glycine nor proline is compared with the others.

    Returns:
        ``rama_rare`` and ``rama_outliers`` [B]: shares of residues outside the region that holds
        98 % and 99.95 % of natural ones, NaN without a residue that has both angles.
    """
    phi, psi = phi_psi(parts)
    known = phi.isfinite() & psi.isfinite()
    denser = torch.from_numpy(share_in_denser_cells(natural_counts())).to(phi.device)
    place = denser[kinds(tokens), cell(phi.where(known, 0)), cell(psi.where(known, 0))]
    limits = {"rama_rare": FAVOURED, "rama_outliers": ALLOWED}
    return {
        name: ((place >= limit) & known).sum(1).double() / known.sum(1)
        for name, limit in limits.items()
    }


def cell(angles: Tensor) -> Tensor:
    """[...] number of the cell in which each angle, in radians, lies."""
    return ((angles + pi) * (CELLS / (2 * pi))).floor().long() % CELLS


@cache
def natural_counts() -> NDArray[np.int32]:
    """[3, CELLS, CELLS] natural residues by kind, cell of φ and cell of ψ."""
    with np.load(TABLE) as file:
        counts: NDArray[np.int32] = file["counts"]
    return counts


def density(counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """[3, CELLS, CELLS] share of each kind's residues in each cell, smoothed on the torus."""
    waves = np.fft.fftfreq(CELLS, 1 / CELLS) * SMOOTHING
    kernel = np.exp(-0.5 * (waves[:, None] ** 2 + waves**2))
    smooth = np.fft.ifft2(np.fft.fft2(counts) * kernel).real.clip(min=0)
    shares: NDArray[np.float64] = smooth / smooth.sum((1, 2), keepdims=True)
    return shares


def share_in_denser_cells(counts: NDArray[np.int32]) -> NDArray[np.float64]:
    """[3, CELLS, CELLS] share of natural residues in cells denser than each.

    Where it is below 0.98 lies the smallest region that holds 98 % of them.
    """
    flat = density(counts).reshape(len(counts), -1)
    order = np.argsort(-flat, axis=1, kind="stable")
    ranked = np.take_along_axis(flat, order, axis=1)
    denser = np.empty_like(flat)
    np.put_along_axis(denser, order, ranked.cumsum(1) - ranked, axis=1)
    return denser.reshape(counts.shape)
