"""Overlap of atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from minifold_core.batch import Truth
from minifold_core.interfaces import Loss
from minifold_sidechain.config import SidechainClashConfig
from minifold_sidechain.geometry import CA, C, N, O
from minifold_sidechain.ideal import ELEMENTS, SLOTS, tables
from minifold_sidechain.measure import full_precision

RADII = {"C": 1.70, "N": 1.55, "O": 1.52, "S": 1.80}
"""Van der Waals radii in ångström (Bondi 1964)."""
SULPHUR = ELEMENTS.index("S")
BONDS_APART = 4
"""Atoms nearer than this along bonds hold each other: their distance is geometry, no clash."""
DISTANCES_AT_ONCE = 2**22
"""Distances that are looked at together; only those of overlapping atoms are kept, and if there are
more, each lot is looked at again in the backward pass instead."""


class Atoms(NamedTuple):
    """All atoms of a batch.

    Attributes:
        x: [B, L, 14, 3] N, Cα, C, O and side chains in ångström.
        known: [B, L, 14] which of them count.
        tokens: [B, L] residue types.
        residue_index: [B, L] positions along the chain.
    """

    x: Tensor
    known: Tensor
    tokens: Tensor
    residue_index: Tensor

    @property
    def radius(self) -> Tensor:
        """[B, L, 14] van der Waals radii in ångström."""
        element = tables().element.to(self.x.device)[self.tokens]
        return self.x.new_tensor([RADII[symbol] for symbol in ELEMENTS])[element]


@torch.no_grad()
def near_residues(atoms: Atoms) -> Tensor:
    """[P, 3] protein, residue and the same or a later residue whose spheres may overlap."""
    ca = atoms.x[:, :, CA]
    reach = (atoms.x - ca[:, :, None]).norm(dim=-1) + atoms.radius
    size = reach.masked_fill(~atoms.known, 0).amax(-1)
    far = torch.cdist(ca, ca, compute_mode="donot_use_mm_for_euclid_dist")
    return (far < size[:, :, None] + size[:, None]).triu().nonzero()


@torch.no_grad()
def overlapping(atoms: Atoms, pairs: Tensor, tolerance: float) -> tuple[Tensor, ...]:
    """[P] each of protein, residue, atom, residue and atom: overlaps in ``pairs`` of residues."""
    b, r, s = pairs.unbind(-1)
    distance = (atoms.x[b, r, :, None] - atoms.x[b, s, None]).norm(dim=-1)
    close = distance < atoms.radius[b, r, :, None] + atoms.radius[b, s, None] - tolerance
    close &= atoms.known[b, r, :, None] & atoms.known[b, s, None]
    pair, i, j = close.nonzero(as_tuple=True)
    b, r, s = b[pair], r[pair], s[pair]
    one, other = atoms.tokens[b, r], atoms.tokens[b, s]
    apart, element = (x.to(pairs.device) for x in (tables().separation, tables().element))
    across = apart[one, i, C] + 1 + apart[other, N, j]
    bonded = atoms.residue_index[b, s] - atoms.residue_index[b, r] == 1
    bonds = torch.where(bonded, across, BONDS_APART)
    bonds = torch.where(r == s, apart[one, i, j], bonds)
    disulfide = (element[one, i] == SULPHUR) & (element[other, j] == SULPHUR)
    keep = (bonds >= BONDS_APART) & ((r < s) | (i < j)) & ((i > O) | (j > O)) & ~disulfide
    return b[keep], r[keep], i[keep], s[keep], j[keep]


def squared_overlaps(x: Tensor, atoms: Atoms, pairs: Tensor, tolerance: float) -> Tensor:
    """[B] sums in Å² over ``pairs`` of residues; gradients go to ``x``."""
    b, r, i, s, j = overlapping(atoms, pairs, tolerance)
    apart = ((x[b, r, i] - x[b, s, j]).pow(2).sum(-1) + 1e-8).sqrt()
    depth = atoms.radius[b, r, i] + atoms.radius[b, s, j] - tolerance - apart
    return x.new_zeros(len(x)).index_add(0, b, depth.clamp(min=0).pow(2))


class SidechainClashLoss(Loss):
    """Squared overlaps of van der Waals spheres per residue, in Å².

    ``Σ max(0, r_i + r_j - tolerance - d_ij)² / L`` over pairs with a side-chain atom that are four
    bonds apart or more; two sulphurs may be bonded. The backbone is a constant here: side chains
    make way, not it. AlphaFold 2 (suppl. 1.9.11, Eq. 46) sums the overlaps themselves.
    """

    config: SidechainClashConfig

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3] and ``sidechain`` [B, L, 10, 3]."""
        with torch.autocast(truth.backbone.device.type, enabled=False):
            wide, tokens = full_precision(prediction), truth.tokens
            has = tables().atom_mask.to(tokens.device)[tokens] & truth.mask[..., None]
            known = torch.cat([truth.backbone_mask, has], -1)
            x = torch.cat([wide["backbone"].detach(), wide["sidechain"]], -2)
            x = x * truth.scale[:, None, None, None]
            atoms = Atoms(x.detach(), known, tokens, truth.residue_index)
            total = x.flatten(1).sum(1) * 0
            lots = near_residues(atoms).split(DISTANCES_AT_ONCE // SLOTS**2)
            for pairs in lots:
                arguments = (x, atoms, pairs, self.config.tolerance)
                total = total + (
                    squared_overlaps(*arguments)
                    if len(lots) == 1
                    else checkpoint(squared_overlaps, *arguments, use_reentrant=False)
                )
            return total / truth.mask.sum(1).clamp(min=1)
