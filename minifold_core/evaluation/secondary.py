"""Helix, strand or neither, from Cα atoms alone, and how well a prediction keeps them.

The rules are those of P-SEA (Labesse 1997, *CABIOS* 13:291) as biotite's ``annotate_sse`` applies
them; the result is the same, for many chains at once and whatever the coordinates.
"""

from __future__ import annotations

from math import radians

import torch
from torch import Tensor

from minifold_core.evaluation.trace import LocalGeometry, local_geometry, places

COIL, HELIX, STRAND = range(3)
UNKNOWN = -1
LONGEST_COIL = 5
"""Chains of so few residues are not annotated: all is coil."""

HELIX_ANGLE = (radians(89 - 12), radians(89 + 12))
HELIX_DIHEDRAL = (radians(50 - 20), radians(50 + 20))
HELIX_D3 = (5.3 - 0.5, 5.3 + 0.5)
HELIX_D4 = (6.4 - 0.6, 6.4 + 0.6)
STRAND_ANGLE = (radians(124 - 14), radians(124 + 14))
STRAND_DIHEDRAL = radians(145), radians(-125)
"""Beyond these, on either side of 180°."""
STRAND_D2 = (6.7 - 0.6, 6.7 + 0.6)
STRAND_D3 = (9.9 - 0.9, 9.9 + 0.9)
STRAND_D4 = (12.4 - 1.1, 12.4 + 1.1)
SHORTEST_HELIX, SHORTEST_STRAND, SHORTEST_PAIRED_STRAND = 5, 4, 3
CONTACT = (4.2, 5.2)
FEWEST_CONTACTS = 5
"""A strand of three residues needs so many Cα at a contact's distance, all residues together."""


def secondary_structure(ca: Tensor, mask: Tensor, residue_index: Tensor) -> Tensor:
    """[B, L] ``COIL``, ``HELIX`` or ``STRAND``; ``UNKNOWN`` where the Cα is.

    Args:
        ca: [B, L, 3] Cα in ångström.
        mask: [B, L] True where the Cα is known.
        residue_index: [B, L] increasing positions along the chain, from 0; breaks end elements.
    """
    place = places(mask, residue_index)
    g = local_geometry(ca.float(), mask, place)
    elements = torch.full_like(g.d2, COIL, dtype=torch.long)
    elements[_helix(g)] = HELIX
    elements[_strand(g)] = STRAND
    elements = elements.gather(1, place.clamp(min=0))
    elements[mask.sum(1) <= LONGEST_COIL] = COIL
    return elements.masked_fill(~mask, UNKNOWN)


def secondary_scores(
    pred: Tensor, target: Tensor, mask: Tensor, residue_index: Tensor
) -> dict[str, Tensor]:
    """How well the elements of native chains are predicted.

    Args:
        pred: [B, L, 3] predicted Cα in ångström.
        target: [B, L, 3] true Cα in ångström.
        mask: [B, L] True where the true Cα is known.
        residue_index: [B, L].

    Returns:
        ``ss3`` [B], the share of residues with the right element; ``helix_recall`` and
        ``strand_recall`` [B], those of native helix and strand, NaN without any.
    """
    found, true = (secondary_structure(x, mask, residue_index) for x in (pred, target))
    right = found == true
    among = {"ss3": mask, "helix_recall": true == HELIX, "strand_recall": true == STRAND}
    return {name: (right & of).sum(1).double() / of.sum(1) for name, of in among.items()}


def _helix(g: LocalGeometry) -> Tensor:
    near, bent = _within(g.d3, HELIX_D3), _within(g.angle, HELIX_ANGLE)
    strict = near & _within(g.d4, HELIX_D4) | bent & _within(g.dihedral, HELIX_DIHEDRAL)
    return _extended(_runs(strict, SHORTEST_HELIX), near | bent)


def _strand(g: LocalGeometry) -> Tensor:
    stretched = _within(g.d3, STRAND_D3)
    flat = (g.dihedral >= STRAND_DIHEDRAL[0]) | (g.dihedral <= STRAND_DIHEDRAL[1])
    strict = _within(g.d2, STRAND_D2) & stretched & _within(g.d4, STRAND_D4)
    strict |= _within(g.angle, STRAND_ANGLE) & flat
    paired = _with_contacts(g.ca, _runs(strict, SHORTEST_PAIRED_STRAND))
    return _extended(_runs(strict, SHORTEST_STRAND) | paired, stretched)


def _within(values: Tensor, limits: tuple[float, float]) -> Tensor:
    return (values >= limits[0]) & (values <= limits[1])


def _runs(mask: Tensor, shortest: int) -> Tensor:
    """[B, M] True inside runs of at least ``shortest`` places."""
    whole = mask.unfold(1, shortest, 1).all(-1)
    return torch.nn.functional.pad(whole, (shortest - 1,) * 2).unfold(1, shortest, 1).any(-1)


def _extended(mask: Tensor, relaxed: Tensor) -> Tensor:
    """[B, M] runs made longer by a place on either side where ``relaxed`` allows it."""
    beside = torch.nn.functional.pad(mask, (1, 1))
    return mask | (beside[:, 2:] | beside[:, :-2]) & relaxed


def _with_contacts(ca: Tensor, candidates: Tensor) -> Tensor:
    """[B, M] the runs of ``candidates`` that have enough contacts."""
    distances = torch.cdist(ca, ca, compute_mode="donot_use_mm_for_euclid_dist")
    contacts = ((distances > CONTACT[0]) & (distances <= CONTACT[1])).sum(-1) * candidates
    starts = candidates & ~torch.nn.functional.pad(candidates, (1, 0))[:, :-1]
    run = starts.cumsum(1)
    totals = torch.zeros_like(contacts).scatter_add(1, run, contacts)
    return candidates & (totals.gather(1, run) >= FEWEST_CONTACTS)
