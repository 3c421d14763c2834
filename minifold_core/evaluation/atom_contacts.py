"""Backbone atoms of different residues: clashes and hydrogen bonds."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.evaluation.peptides import NEXT_N, C, N, O, Units
from minifold_core.residues import ONE_TO_TOKEN

RADII = (1.55, 1.70, 1.70, 1.52)
"""Van der Waals radii of N, Cα, C and O in ångström (Bondi 1964)."""
OVERLAP = 1.5
"""Ångström that the spheres of two atoms may overlap (AlphaFold 2, suppl. 1.9.11)."""

N_H = 1.0
"""Ångström."""
COUPLING = 332 * 0.42 * 0.20
"""kcal Å / mol: the product of the partial charges of C=O and N-H."""
BOND_ENERGY = -0.5
"""kcal/mol below which N-H and C=O are bonded."""
NEAREST = 0.5
"""Ångström below which two atoms lie on one another and bond to nothing."""


def clashes(parts: Units, residue_index: Tensor) -> Tensor:
    """[B] pairs of atoms of two residues whose spheres overlap by more than 1.5 Å.

    The peptide bond is no clash (AlphaFold 2, suppl. 1.9.11, Eq. 46); no other two atoms of
    neighbours with right bonds and angles come so near.

    Args:
        parts: of :func:`~minifold_core.evaluation.peptides.units`.
        residue_index: [B, L] positions along the chain.
    """
    b, length = residue_index.shape
    x, known = parts.atoms[:, :, :NEXT_N].flatten(1, 2), parts.known[:, :, :NEXT_N].flatten(1, 2)
    radii = x.new_tensor(RADII).repeat(length)
    limits = radii[:, None] + radii - OVERLAP
    near = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist") < limits
    near &= known[:, :, None] & known[:, None, :]
    near = near.view(b, length, 4, length, 4)
    count = near.sum((2, 4)).triu(1).sum((1, 2))
    bonded = residue_index.diff(dim=1).eq(1)
    peptide = near[:, :, C, :, N].diagonal(1, 1, 2)
    return count - (peptide & bonded).sum(1)


def hydrogen_bonds(parts: Units, tokens: Tensor) -> Tensor:
    """[B] backbone N-H groups that are bonded to some C=O (Kabsch & Sander 1983, *Biopolymers*).

    E = 27.9 (1/d(O,N) + 1/d(C,H) − 1/d(O,H) − 1/d(C,N)) kcal/mol below −0.5. H lies 1 Å from N,
    opposite to the C=O before it. An N-H that several C=O attract counts once; the C=O of its own
    peptide bond and of its own residue count nowhere.

    Args:
        parts: of :func:`~minifold_core.evaluation.peptides.units`; the donor of unit i is the N of
            its next residue, the acceptor its own C=O.
        tokens: [B, L] residue ids; proline has no H.
    """
    carbon, oxygen, nitrogen = (parts.atoms[:, :, atom] for atom in (C, O, NEXT_N))
    hydrogen = nitrogen + N_H * torch.nn.functional.normalize(carbon - oxygen, dim=-1)
    pairs = {
        name: torch.cdist(donor, acceptor, compute_mode="donot_use_mm_for_euclid_dist")
        for name, donor, acceptor in (
            ("on", nitrogen, oxygen),
            ("ch", hydrogen, carbon),
            ("oh", hydrogen, oxygen),
            ("cn", nitrogen, carbon),
        )
    }
    energy = COUPLING * (1 / pairs["on"] + 1 / pairs["ch"] - 1 / pairs["oh"] - 1 / pairs["cn"])
    apart = torch.stack(list(pairs.values())).amin(0) >= NEAREST
    donors, acceptors = parts.have(C, O, NEXT_N), parts.have(C, O)
    donors &= (tokens != ONE_TO_TOKEN["P"]).roll(-1, 1)
    possible = donors[:, :, None] & acceptors[:, None, :] & apart
    # Neither the C=O of its own peptide bond nor that of its own residue.
    place = torch.arange(possible.shape[1], device=possible.device)
    step = place - place[:, None]
    possible &= (step != 0) & (step != 1)
    return ((energy < BOND_ENERGY) & possible).any(-1).sum(1)
