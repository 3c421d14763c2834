"""Distances and angles along a Cα trace, interrupted where the chain is broken."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.angles import angle, dihedral

SHORTEST = 6
"""Places of the shortest layout: no shorter chain has a helix or a strand."""


class LocalGeometry(NamedTuple):
    """The trace around each place [B, M]; NaN where a Cα that it needs is not there.

    A place is a known residue or the gap that a break of the chain leaves.

    Attributes:
        ca: [B, M, 3] Cα in ångström, NaN in gaps and beyond the end.
        d2: ångström from the Cα before to the one after.
        d3: ångström from the Cα before to the second one after.
        d4: ångström from the Cα before to the third one after.
        angle: at the Cα, in radians.
        dihedral: of the Cα before, this one and the two after, in radians.
    """

    ca: Tensor
    d2: Tensor
    d3: Tensor
    d4: Tensor
    angle: Tensor
    dihedral: Tensor


def places(mask: Tensor, residue_index: Tensor) -> Tensor:
    """[B, L] the place of each known residue: consecutive, with one left free at each break.

    Args:
        mask: [B, L] True where the Cα is known.
        residue_index: [B, L] increasing positions along the chain, from 0.
    """
    seen = residue_index.masked_fill(~mask, -1).cummax(1).values
    last = torch.nn.functional.pad(seen, (1, 0), value=-1)[:, :-1]
    jump = mask & (last >= 0) & (residue_index - last > 1)
    return (mask.long() + jump.long()).cumsum(1) - 1


def local_geometry(ca: Tensor, mask: Tensor, place: Tensor) -> LocalGeometry:
    """Measure a Cα trace [B, L, 3] in ångström whose known residues have the given places."""
    count = max(SHORTEST, int(place.max()) + 1)
    # What is unknown goes to one place too many, which is cut off.
    x = ca.new_full((len(ca), count + 1, 3), float("nan"))
    x.scatter_(1, place.masked_fill(~mask, count)[..., None].expand_as(ca), ca)
    x = x[:, :count]
    steps = (torch.linalg.vector_norm(x[:, k:] - x[:, :-k], dim=-1) for k in (2, 3, 4))
    turn = angle(x[:, :-2], x[:, 1:-1], x[:, 2:])
    twist = dihedral(x[:, :-3], x[:, 1:-2], x[:, 2:-1], x[:, 3:])
    return LocalGeometry(x, *(_centred(values, count) for values in (*steps, turn, twist)))


def _centred(values: Tensor, count: int) -> Tensor:
    """[B, M] the values of windows, each at its window's second place."""
    return torch.nn.functional.pad(
        values.double(), (1, count - 1 - values.shape[1]), value=float("nan")
    )
