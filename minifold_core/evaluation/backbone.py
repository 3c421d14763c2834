"""Scores of backbones that need no truth: sampled and native chains can be shown side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.errors import MinifoldError
from minifold_core.evaluation.atom_contacts import clashes, hydrogen_bonds
from minifold_core.evaluation.peptides import units
from minifold_core.evaluation.ramachandran import ramachandran
from minifold_core.evaluation.scores import SCORES
from minifold_core.evaluation.stereochemistry import stereochemistry
from minifold_core.evaluation.threads import one_thread
from minifold_core.residues import UNK

ELEMENTS_AT_ONCE = 2**20
"""Distances between atoms held at once."""


def backbone_scores(
    backbone: Tensor,
    mask: Tensor | None = None,
    tokens: Tensor | None = None,
    residue_index: Tensor | None = None,
) -> dict[str, Tensor]:
    """All scores of a batch of backbones, computed in float64 on the CPU.

    Args:
        backbone: [B, L, 4, 3] N, Cα, C, O in ångström.
        mask: [B, L, 4] which atoms are known; default all.
        tokens: [B, L] residue ids: glycine and proline have ideal values and regions of their own,
            and proline has no H. Default unknown everywhere: every residue is then judged as a
            common one, and every peptide bond may be cis.
        residue_index: [B, L] increasing positions along the chain that jump where residues are
            missing; default 0 ... L-1. Nothing is measured across a jump.

    Returns:
        [B] each, in this order: ``rama_rare`` and ``rama_outliers``
        (:func:`~minifold_core.evaluation.ramachandran.ramachandran`), ``bond_z``, ``angle_z`` and
        ``omega_z`` (:func:`~minifold_core.evaluation.stereochemistry.stereochemistry`), ``clashes``
        per 100 residues and ``hbonds`` per residue
        (:mod:`~minifold_core.evaluation.atom_contacts`), where residues are those with all four
        atoms; NaN where a score is not defined for a chain.
        :data:`~minifold_core.evaluation.scores.SCORES` says what each means.

    Raises:
        MinifoldError: shapes disagree or a known coordinate is not finite.
    """
    b, length = backbone.shape[:2]
    backbone = backbone.detach().cpu().double()
    mask = torch.ones(b, length, 4, dtype=torch.bool) if mask is None else mask.cpu().bool()
    tokens = torch.full((b, length), UNK) if tokens is None else tokens.cpu()
    index = torch.arange(length).expand(b, -1) if residue_index is None else residue_index.cpu()
    _check(backbone, mask, tokens, index)
    rows = max(1, ELEMENTS_AT_ONCE // (4 * length) ** 2)
    with one_thread():
        parts = [
            _scores(*each)
            for each in zip(*(x.split(rows) for x in (backbone, mask, tokens, index)), strict=True)
        ]
    return {name: torch.cat([part[name] for part in parts]) for name in SCORES if name in parts[0]}


def _scores(backbone: Tensor, mask: Tensor, tokens: Tensor, index: Tensor) -> dict[str, Tensor]:
    parts = units(backbone, mask, index)
    whole = mask.all(-1).sum(1)
    return (
        ramachandran(parts, tokens)
        | stereochemistry(parts, tokens)
        | {
            "clashes": 100 * clashes(parts, index).double().where(whole > 0, 0) / whole,
            "hbonds": hydrogen_bonds(parts, tokens).double() / whole,
        }
    )


def _check(backbone: Tensor, mask: Tensor, tokens: Tensor, index: Tensor) -> None:
    b, length = backbone.shape[:2]
    shapes = [tuple(x.shape) for x in (backbone, mask, tokens, index)]
    if shapes != [(b, length, 4, 3), (b, length, 4), (b, length), (b, length)]:
        raise MinifoldError(
            "backbone scores: need backbones [B, L, 4, 3], a mask [B, L, 4], tokens [B, L] and "
            f"positions [B, L]; got {', '.join(map(str, shapes))}"
        )
    wrong = (~backbone.isfinite().all(-1) & mask).flatten(1).any(1)
    if wrong.any():
        row = int(wrong.nonzero()[0])
        raise MinifoldError(
            f"backbone scores: chain {row} of the batch has coordinates that are not finite"
        )
