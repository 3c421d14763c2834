"""The angle of each peptide plane about its Cα-Cα axis, predicted from a Cα trace.

Four consecutive Cα nearly decide the angle of the middle plane (Milik, Kolinski & Skolnick 1997;
Gront, Kmiecik & Kolinski 2007, BBQ); glycine and proline beside the plane tell most of what is
left. The cosine and sine of the angle are regressed on products of both, by least squares on
natural chains; the coefficients lie beside this module.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from minifold_core.geometry.frames import gram_schmidt, safe_norm

TABLE_PATH = Path(__file__).with_suffix(".json")
"""The coefficients, fitted by ``scripts/fit_rebuild.py``."""
CIS_BELOW = {"P": 3.4, "any other": 3.1}
"""Cα-Cα distance in ångström below which a peptide before this residue is cis. One in twenty before
proline is, one in two thousand before others: there a short distance more often means a poor trace.
"""
NATURAL_COSINES = (-0.9, 0.2)
"""Of angles between three Cα in natural chains; what lies beyond counts as the nearer end."""
UNKNOWN = (1.0, 0.0)
"""Cosine and sine for a peptide without a Cα on either side: any angle would do."""


class Surroundings(NamedTuple):
    """What a trace tells of the peptides between M pairs of consecutive Cα.

    Attributes:
        rotation: [M, 3, 3] frames: the first axis from Cα to Cα; the Cα before, else the one after,
            in the plane of the first two, on the positive side.
        factors: [M, 5] one, then whether the first residue is G, is P, the second is G, is P;
            [M, 7] Fourier series of the torsion of four Cα; [M, 3] powers of the cosine of the
            angle at the first Cα; [M, 3] the same at the second.
    """

    rotation: Tensor
    factors: tuple[Tensor, Tensor, Tensor, Tensor]

    def terms(self, orders: tuple[int, ...]) -> Tensor:
        """[M, T] all products of one column per factor, out of the first ``orders`` of each."""
        columns = [factor[:, :order] for factor, order in zip(self.factors, orders, strict=True)]
        return torch.einsum("ma,mb,mc,md->mabcd", *columns).flatten(1)


def surroundings(ca: Tensor, sequence: str, before: Tensor, after: Tensor) -> Surroundings:
    """Describe the pairs of a trace [L, 3], by [L-1] whether the Cα before and after are known."""
    first, second = ca[:-1], ca[1:]
    previous, following = ca.roll(1, 0)[:-1], ca.roll(-1, 0)[1:]
    third = torch.where(after[:, None], following, first)
    third = torch.where(before[:, None], previous, third)
    rotation = gram_schmidt(first, second, third)
    back = torch.einsum("mi,mij->mj", previous - first, rotation)
    ahead = torch.einsum("mi,mij->mj", following - second, rotation)

    one = torch.ones_like(back[:, :1])
    special = torch.stack([ca.new_tensor([letter == c for letter in sequence]) for c in "GP"], -1)
    phase = torch.complex(ahead[:, 1], ahead[:, 2]) / safe_norm(ahead[:, 1:])
    waves = torch.view_as_real(torch.stack([phase, phase**2, phase**3], -1)).flatten(1)
    left = (back[:, :1] / safe_norm(back)[:, None]).clamp(*NATURAL_COSINES)
    right = (-ahead[:, :1] / safe_norm(ahead)[:, None]).clamp(*NATURAL_COSINES)
    factors = (
        torch.cat([one, special[:-1], special[1:]], -1),
        torch.cat([one, waves], -1),
        torch.cat([one, left, left**2], -1),
        torch.cat([one, right, right**2], -1),
    )
    return Surroundings(rotation, factors)


@cache
def regressions() -> dict[str, tuple[tuple[int, ...], list[list[float]]]]:
    """Orders of the terms and their [T, 2] coefficients, for each kind of surroundings."""
    kinds = json.loads(TABLE_PATH.read_text(encoding="utf-8"))["regressions"]
    return {name: (tuple(kind["orders"]), kind["coefficients"]) for name, kind in kinds.items()}


def is_cis(ca: Tensor, sequence: str) -> Tensor:
    """[L-1] which consecutive Cα [L, 3] have a cis peptide between them if they are bonded."""
    limits = [CIS_BELOW.get(letter, CIS_BELOW["any other"]) for letter in sequence[1:]]
    return (ca[1:] - ca[:-1]).norm(dim=-1) < ca.new_tensor(limits)


def predict_angles(ca: Tensor, sequence: str, bonded: Tensor, cis: Tensor) -> tuple[Tensor, Tensor]:
    """The plane of every peptide of a trace.

    Args:
        ca: [L, 3] in ångström.
        sequence: L one-letter codes.
        bonded: [L-1] which consecutive residues share a peptide.
        cis: [L-1] which of those peptides are cis.

    Returns:
        [L-1, 3, 3] frames (see :class:`Surroundings`) and [L-1, 2] cosine and sine of the angle
        about the first axis from the second to the side of O, scaled down where it is uncertain.
    """
    before, after = pad(bonded, (1, 0))[:-1], pad(bonded, (0, 1))[1:]
    both = before & after
    uses = {"first": after, "last": before, "trans": both, "cis": both & cis}
    around = surroundings(ca, sequence, before, after)
    angles = ca.new_tensor(UNKNOWN).expand(len(bonded), 2)
    for kind, use in uses.items():
        orders, coefficients = regressions()[kind]
        angles = torch.where(
            use[:, None], around.terms(orders) @ ca.new_tensor(coefficients), angles
        )
    return around.rotation, angles
