"""What losses and the metric share: native torsions, and means over what is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import at_least_fp32
from minifold_sidechain.geometry import chi_angles
from minifold_sidechain.ideal import tables


class Native(NamedTuple):
    """Native side chains.

    Attributes:
        tokens: [B, L] residue types.
        known: [B, L, 10] side-chain atoms that are known.
        sidechain: [B, L, 10, 3] in model units.
        chi: [B, L, 4, 2] cosines and sines, 0 where not defined.
        defined: [B, L, 4].
    """

    tokens: Tensor
    known: Tensor
    sidechain: Tensor
    chi: Tensor
    defined: Tensor


def native(truth: Truth) -> Native:
    """The native side chains of a batch."""
    has = tables().atom_mask.to(truth.tokens.device)[truth.tokens]
    known = truth.sidechain_mask & has
    atoms = torch.cat([truth.backbone_mask, known], -1)
    sidechain = at_least_fp32(truth.sidechain)
    chi, defined = chi_angles(truth.backbone, sidechain, atoms, truth.tokens)
    return Native(truth.tokens, known, sidechain, chi, defined)


def full_precision(prediction: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The ports that are there, in float32 or wider."""
    return {name: at_least_fp32(x) for name, x in prediction.items() if x is not None}


def masked_mean(values: Tensor, mask: Tensor, empty: float = 0.0) -> Tensor:
    """[B] means of ``values`` [B, ...] where ``mask`` [B, ...]; ``empty`` without any."""
    count = mask.flatten(1).sum(1)
    total = values.masked_fill(~mask, 0).flatten(1).sum(1)
    return (total / count.clamp(min=1)).masked_fill(count == 0, empty)


def chi_cosine(chi: Tensor, other: Tensor, tokens: Tensor) -> Tensor:
    """[..., 4] cosines of the differences of torsions [..., 4, 2], the better of two names."""
    cosine = (chi * other).sum(-1)
    periodic = tables().periodic.to(tokens.device)[tokens]
    return torch.where(periodic, cosine.abs(), cosine)
