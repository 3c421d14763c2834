"""Rotamers: basins of torsions, and how often training chains lie in each.

Every torsion's circle is cut into equal basins, and a residue's *rotamer* is the basin of each of
its torsions. ``rotamers.json`` says how many residues of a training set were in each rotamer, and
the mean torsions of those (``scripts/make_rotamers.py``): counts, not somebody's library.
"""

from __future__ import annotations

import json
import math
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.residues import AMINO_ACIDS, ONE_TO_TOKEN, VOCABULARY_SIZE
from minifold_sidechain.config import CHIS, ROTAMERS
from minifold_sidechain.ideal import CHI_ENDS, PERIODIC

THREE = (3, 0.0)
"""The staggered positions 60°, 180° and 300° of a bond between two tetrahedral atoms."""
CUTS: dict[str, tuple[tuple[int, float], ...]] = {
    "D": (THREE, (3, -30.0)), "E": (THREE, THREE, (3, -30.0)), "F": (THREE, (3, 0.0)),
    "H": (THREE, (6, -30.0)), "N": (THREE, (6, -30.0)), "P": ((2, 0.0), (2, 0.0)),
    "Q": (THREE, THREE, (6, -30.0)), "W": (THREE, (6, 0.0)), "Y": (THREE, (3, 0.0)),
}  # fmt: skip
"""Per torsion how many basins, and where in degrees the first begins, so that no frequent torsion
lies on a border; every residue that is not here is tetrahedral throughout."""
UNSEEN = 0.5
"""What a rotamer counts that no training chain has."""


class Rotamers(NamedTuple):
    """Tensors whose first axis is the residue token.

    Attributes:
        parts: [V, 4] basins of each torsion; 1 where there is none.
        start: [V, 4] where the first begins, radians.
        period: [V, 4] 2π, or π where half a turn changes names alone.
        stride: [V, 4] what a step to the next basin adds to a rotamer's number.
        valid: [V, 81] which rotamers a residue has; one, without torsions, for Gly and Ala.
        basin: [V, 81, 4] basin of each torsion in each rotamer.
        mean: [V, 81, 4] mean torsions in radians.
        prior: [V, 81] natural logarithm of the frequency; 0 where not valid.
        commonest: [V] the most frequent rotamer.
    """

    parts: Tensor
    start: Tensor
    period: Tensor
    stride: Tensor
    valid: Tensor
    basin: Tensor
    mean: Tensor
    prior: Tensor
    commonest: Tensor

    def to(self, device: torch.device, dtype: torch.dtype) -> Rotamers:
        """The same on a device, numbers with a fraction in ``dtype``."""
        return Rotamers(*(x.to(device, dtype if x.is_floating_point() else None) for x in self))

    def number(self, chi: Tensor, tokens: Tensor) -> Tensor:
        """[...] the rotamer of torsions ``chi`` [..., 4, 2] (cosine, sine)."""
        angle = torch.atan2(chi[..., 1], chi[..., 0])
        width = self.period[tokens] / self.parts[tokens]
        place = torch.remainder(angle - self.start[tokens], self.period[tokens]) / width
        basin = place.long().minimum(self.parts[tokens] - 1)  # rounding may reach the period
        return (basin * self.stride[tokens]).sum(-1)

    def of_number(self, table: Tensor, number: Tensor, tokens: Tensor) -> Tensor:
        """[..., 4] the entries of a table [V, 81, 4] for rotamers ``number`` [...]."""
        index = number[..., None, None].expand(*number.shape, 1, CHIS)
        return table[tokens].gather(-2, index).squeeze(-2)


def layout() -> Rotamers:
    """The basins alone: means in their middles, all rotamers of a residue equally frequent."""
    v = VOCABULARY_SIZE
    made = Rotamers(
        parts=torch.ones(v, CHIS, dtype=torch.long),
        start=torch.zeros(v, CHIS, dtype=torch.float64),
        period=torch.full((v, CHIS), 2 * math.pi, dtype=torch.float64),
        stride=torch.zeros(v, CHIS, dtype=torch.long),
        valid=torch.zeros(v, ROTAMERS, dtype=torch.bool),
        basin=torch.zeros(v, ROTAMERS, CHIS, dtype=torch.long),
        mean=torch.zeros(v, ROTAMERS, CHIS, dtype=torch.float64),
        prior=torch.zeros(v, ROTAMERS, dtype=torch.float64),
        commonest=torch.zeros(v, dtype=torch.long),
    )
    for one in AMINO_ACIDS:
        token, total = ONE_TO_TOKEN[one], 1
        for k, (parts, start) in enumerate(cuts(one)):
            made.parts[token, k] = parts
            made.start[token, k] = math.radians(start)
            made.stride[token, k] = total
            total *= parts
            if PERIODIC.get(one) == k:
                made.period[token, k] = math.pi
        made.valid[token, :total] = True
        number = torch.arange(total)[:, None]
        stride, parts_of = made.stride[token].clamp(min=1), made.parts[token]
        made.basin[token, :total] = number // stride % parts_of
        width = made.period[token] / parts_of
        centre = made.start[token] + (made.basin[token, :total] + 0.5) * width
        made.mean[token, :total] = centre * made.stride[token].gt(0)
    return made


def cuts(one: str) -> tuple[tuple[int, float], ...]:
    """Number of basins and start in degrees of each torsion of a residue."""
    return CUTS.get(one, (THREE,) * len(CHI_ENDS[one]))


@cache
def rotamers() -> Rotamers:
    """The rotamers with their statistics, in float64 on the CPU."""
    made = layout()
    entries = json.loads(files(__package__).joinpath("rotamers.json").read_text())["residues"]
    for one, seen in entries.items():
        token = ONE_TO_TOKEN[one]
        total = int(made.valid[token].sum())
        counts = torch.full((total,), UNSEEN, dtype=torch.float64)
        for number, (count, *means) in seen.items():
            counts[int(number)] = count
            made.mean[token, int(number), : len(means)] = torch.tensor(means, dtype=torch.float64)
        made.prior[token, :total] = (counts / counts.sum()).log()
        made.commonest[token] = counts.argmax()
    return made


def rotamers_for(x: Tensor) -> Rotamers:
    """The rotamers on the device of ``x``, in its dtype but at least float32."""
    return rotamers().to(x.device, at_least_fp32(x[..., :0]).dtype)


def cos_sin(angle: Tensor) -> Tensor:
    """[..., 2] cosine and sine."""
    return torch.stack([angle.cos(), angle.sin()], -1)
