"""Losses on the four backbone atoms. What spans a peptide bond counts where residues are bonded.

Against ideal values every residue with a known Cα is judged, whatever else is known of it; against
native ones those whose atoms are known. Torsions compare cosines and sines, never angles.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_backbone.config import OmegaConfig
from minifold_backbone.geometry import (
    CA,
    COS_C_N_CA,
    COS_CA_C_N,
    COS_N_CA_C,
    C,
    N,
    O,
    backbone_rotations,
    cosine,
    torsion,
)
from minifold_core.batch import Truth
from minifold_core.geometry.frames import safe_norm
from minifold_core.geometry.peptide_planes import C_N, C_O, CA_C, N_CA
from minifold_losses.base import FullPrecisionLoss, masked_mean
from minifold_losses.frames import FAPE_EPS


class BackboneFAPELoss(FullPrecisionLoss):
    """Frame aligned point error of N, Cα, C, O in N-Cα-C frames, in model units, unclamped.

    AlphaFold 2, suppl. Algorithms 21 and 28 with Z = 1; frames of the prediction are those of its
    own atoms. Frames are chiral: no mirror image satisfies it.
    """

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3]."""
        error = _in_frames(prediction["backbone"]) - _in_frames(truth.backbone)
        known = truth.backbone_mask
        pairs = known[..., : C + 1].all(-1)[:, :, None] & known.flatten(1)[:, None, :]
        return masked_mean((error.pow(2).sum(-1) + FAPE_EPS).sqrt(), pairs)


def _in_frames(backbone: Tensor) -> Tensor:
    """[B, L, 4 L, 3] every atom in every residue's N-Cα-C frame."""
    atoms = backbone.flatten(1, 2)[:, None]
    return (atoms - backbone[:, :, CA, None]) @ backbone_rotations(backbone)


class BackboneBondLoss(FullPrecisionLoss):
    """Squared errors of bond lengths against ideal ones, in squared model units.

    One mean over all bonds: N-Cα, Cα-C and C=O of every residue, and C-N of bonded ones.
    """

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3]."""
        x, unit = prediction["backbone"], truth.scale[:, None]
        inside = [
            safe_norm(x[:, :, a] - x[:, :, b]) - length / unit
            for a, b, length in ((N, CA, N_CA), (CA, C, CA_C), (C, O, C_O))
        ]
        across = safe_norm(x[:, 1:, N] - x[:, :-1, C]) - C_N / unit
        errors = torch.cat([*inside, across], 1)
        known = torch.cat([truth.mask.repeat(1, 3), truth.bonded(2)], 1)
        return masked_mean(errors.pow(2), known)


class BackboneAngleLoss(FullPrecisionLoss):
    """Squared errors of the cosines of bond angles against those of ideal angles.

    One mean over all angles: N-Cα-C of every residue, Cα-C-N and C-N-Cα of bonded ones.
    """

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3]."""
        x = prediction["backbone"]
        this, following = x[:, :-1], x[:, 1:]
        errors = [
            cosine(x[:, :, N], x[:, :, CA], x[:, :, C]) - COS_N_CA_C,
            cosine(this[:, :, CA], this[:, :, C], following[:, :, N]) - COS_CA_C_N,
            cosine(this[:, :, C], following[:, :, N], following[:, :, CA]) - COS_C_N_CA,
        ]
        bonded = truth.bonded(2)
        return masked_mean(torch.cat(errors, 1).pow(2), torch.cat([truth.mask, bonded, bonded], 1))


class OmegaLoss(FullPrecisionLoss):
    """``1 - cos(ω - ω*)`` of the torsion Cα-C-N-Cα about each peptide bond.

    ω* is 180° (``planar``), where a cis bond scores 2, or the native angle (``native``).
    """

    config: OmegaConfig

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3]."""
        predicted = _omega(prediction["backbone"])
        if self.config.target == "planar":
            return masked_mean(1 + predicted[..., 0], truth.bonded(2))
        known = truth.backbone_mask
        known = known[:, :-1, CA] & known[:, :-1, C] & known[:, 1:, N] & known[:, 1:, CA]
        error = 1 - (predicted * _omega(truth.backbone)).sum(-1)
        return masked_mean(error, truth.bonded(2) & known)


def _omega(x: Tensor) -> Tensor:
    """[B, L-1, 2] cosine and sine of ω between each residue and the next."""
    return torsion(x[:, :-1, CA], x[:, :-1, C], x[:, 1:, N], x[:, 1:, CA])


class PhiPsiLoss(FullPrecisionLoss):
    """``1 - cos`` of the errors of φ (C-N-Cα-C) and ψ (N-Cα-C-N), one mean over both."""

    def measure(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        """[B] from ``backbone`` [B, L, 4, 3]."""
        error = 1 - (_phi_psi(prediction["backbone"]) * _phi_psi(truth.backbone)).sum(-1)
        known = truth.backbone_mask
        whole, linked = known[..., : C + 1].all(-1), truth.bonded(2)
        phi = linked & known[:, :-1, C] & whole[:, 1:]
        psi = linked & whole[:, :-1] & known[:, 1:, N]
        return masked_mean(error, torch.cat([phi, psi], 1))


def _phi_psi(x: Tensor) -> Tensor:
    """[B, 2 (L-1), 2] cosines and sines of φ from the second residue on, then ψ but the last."""
    n, ca, c = x[:, :, N], x[:, :, CA], x[:, :, C]
    phi = torsion(c[:, :-1], n[:, 1:], ca[:, 1:], c[:, 1:])
    psi = torsion(n[:, :-1], ca[:, :-1], c[:, :-1], n[:, 1:])
    return torch.cat([phi, psi], 1)
