"""Residues of a backbone together with the next one, and what is known of both."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.angles import dihedral
from minifold_core.residues import FIRST_AMINO_ACID, ONE_TO_TOKEN

N, CA, C, O, NEXT_N, NEXT_CA, NEXT_C, NEXT_O = range(8)  # noqa: E741 - the atoms' own names
"""Places of the atoms of a unit."""

GENERAL, GLYCINE, PROLINE = range(3)
"""Kinds of residues whose backbones differ."""


class Units(NamedTuple):
    """Every residue of [B, L] with the next one of its chain.

    Attributes:
        atoms: [B, L, 8, 3] N, Cα, C, O of the residue and of the next, in ångström.
        known: [B, L, 8] which of those are known; no next atom is where the chain ends or breaks.
    """

    atoms: Tensor
    known: Tensor

    def have(self, *atoms: int) -> Tensor:
        """[B, L] True where all of these atoms are known."""
        return self.known[:, :, list(atoms)].all(-1)

    def dihedral(self, *atoms: int) -> Tensor:
        """[B, L] dihedral of four atoms in radians, NaN where one of them is not known."""
        values = dihedral(*(self.atoms[:, :, atom] for atom in atoms))
        return values.where(self.have(*atoms), float("nan"))


def units(backbone: Tensor, mask: Tensor, residue_index: Tensor) -> Units:
    """Join each residue with the next.

    Args:
        backbone: [B, L, 4, 3] N, Cα, C, O in ångström.
        mask: [B, L, 4] which atoms are known.
        residue_index: [B, L] positions along the chain; residues are bonded where it grows by one.
    """
    bonded = torch.nn.functional.pad(residue_index.diff(dim=1).eq(1), (0, 1))
    following = mask.roll(-1, 1) & bonded[..., None]
    known = torch.cat([mask, following], 2)
    atoms = torch.cat([backbone, backbone.roll(-1, 1)], 2)
    return Units(atoms.where(known[..., None], 0), known)


def kinds(tokens: Tensor) -> Tensor:
    """[B, L] ``GENERAL``, ``GLYCINE`` or ``PROLINE``."""
    kind = torch.full_like(tokens, GENERAL)
    kind[tokens == ONE_TO_TOKEN["G"]] = GLYCINE
    kind[tokens == ONE_TO_TOKEN["P"]] = PROLINE
    return kind


def may_be_proline(tokens: Tensor) -> Tensor:
    """[B, L] True for proline, and for residues of which nobody knows what they are."""
    return (tokens == ONE_TO_TOKEN["P"]) | (tokens < FIRST_AMINO_ACID)


def phi_psi(parts: Units) -> tuple[Tensor, Tensor]:
    """φ and ψ [B, L] of every residue in radians, NaN where a neighbour is missing."""
    phi = parts.dihedral(C, NEXT_N, NEXT_CA, NEXT_C).roll(1, 1)
    phi[:, 0] = float("nan")
    return phi, parts.dihedral(N, CA, C, NEXT_N)
