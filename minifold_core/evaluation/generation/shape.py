"""What the Cα trace of one chain says: bonds, clashes, size, contacts, secondary structure."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.evaluation.chirality import left_handed
from minifold_core.evaluation.contacts import CONTACT
from minifold_core.evaluation.secondary import COIL, HELIX, STRAND, secondary_structure
from minifold_core.geometry.size import radius_of_gyration
from minifold_core.units import CA_CA

BOND_TOLERANCE = 0.1
"""Ångström around 3.8 that a bond may deviate."""
SEPARATION = 3
"""Pairs nearer along the chain count neither as clash nor as contact."""


def shape(ca: Tensor) -> dict[str, float]:
    """The figures of one chain by name.

    Args:
        ca: [n, 3] in ångström.

    Returns:
        ``bonds``: share of consecutive Cα 3.7 to 3.9 Å apart. ``clashes``: pairs of |i-j| >= 3
        nearer than 3.8 Å. ``rg``: radius of gyration in ångström. ``contact_order``: mean |i-j|
        over n of the pairs of |i-j| >= 3 within 8 Å, 0 without any (after Plaxco 1998). ``helix``,
        ``strand``, ``coil``: shares of residues by P-SEA, which is blind to the hand of a helix.
        ``left_handed``: share of the helix windows that wind to the left, NaN without any.
    """
    n = len(ca)
    bonds = torch.linalg.vector_norm(ca.diff(dim=0), dim=-1)
    first, second = torch.triu_indices(n, n, SEPARATION)
    apart = torch.linalg.vector_norm(ca[first] - ca[second], dim=-1)
    separation = (second - first)[apart < CONTACT]
    batch, known, index = ca[None], torch.ones(1, n, dtype=torch.bool), torch.arange(n)[None]
    element = secondary_structure(batch, known, index)
    return {
        "bonds": _share((bonds - CA_CA).abs() <= BOND_TOLERANCE),
        "clashes": float((apart < CA_CA).sum()),
        "rg": float(radius_of_gyration(batch, known)),
        "contact_order": float(separation.double().mean() / n) if len(separation) else 0.0,
        "helix": _share(element == HELIX),
        "strand": _share(element == STRAND),
        "coil": _share(element == COIL),
        "left_handed": float(left_handed(batch, known, index)),
    }


def _share(mask: Tensor) -> float:
    return float(mask.double().mean())
