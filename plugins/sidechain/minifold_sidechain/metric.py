"""Figures of merit of side chains, beside those of the most frequent rotamers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from minifold_core.batch import Truth
from minifold_core.geometry.frames import gram_schmidt
from minifold_core.interfaces import FLOOR, Metric
from minifold_sidechain.config import CHIS, SidechainFiguresConfig
from minifold_sidechain.geometry import CA, C, N, place
from minifold_sidechain.ideal import tables
from minifold_sidechain.measure import Native, chi_cosine, full_precision, masked_mean, native
from minifold_sidechain.rotamers import cos_sin, rotamers_for

NAN = float("nan")


class SidechainFigures(Metric):
    """RMSD, torsion errors and recovered rotamers; a chain's figure is the mean over its residues.

    Atoms are compared in the frames of their own backbones, so that on a predicted backbone too
    only the side chain is judged; those that differ in name alone are compared under the better
    naming. The floor gives every residue its most frequent rotamer in the training chains.
    """

    config: SidechainFiguresConfig
    lower_is_better: ClassVar[frozenset[str]] = frozenset(
        ("sidechain_rmsd_angstrom", *(f"chi{k + 1}_mae_radians" for k in range(CHIS)))
    )

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> dict[str, Tensor]:
        """Figures of merit [B], NaN where a chain has nothing to measure.

        Returns:
            ``sidechain_rmsd_angstrom``; ``chi1_mae_radians`` to ``chi4_mae_radians``;
            ``rotamer_recovery``, the share of residues all of whose torsions are within the
            tolerance of the native ones; and the same of the floor.
        """
        with torch.autocast(truth.backbone.device.type, enabled=False):
            wide, found = full_precision(prediction), native(truth)
            unit = truth.scale[:, None, None, None]
            figures = self._figures(
                wide["chi"], wide["sidechain"] * unit, wide["backbone"] * unit, truth, found
            )
            table = rotamers_for(found.chi)
            mean = table.of_number(table.mean, table.commonest[found.tokens], found.tokens)
            chi, backbone = cos_sin(mean), truth.backbone * unit
            trivial = self._figures(chi, place(backbone, chi, found.tokens), backbone, truth, found)
        return figures | {f"{FLOOR}{name}": value for name, value in trivial.items()}

    def _figures(
        self, chi: Tensor, sidechain: Tensor, backbone: Tensor, truth: Truth, found: Native
    ) -> dict[str, Tensor]:
        """The figures of torsions, and of atoms in ångström on their backbone in ångström."""
        unit = truth.scale[:, None, None, None]
        ours = _local(backbone, sidechain)
        theirs = _local(truth.backbone * unit, found.sidechain * unit)
        swap = tables().swap.to(theirs.device)[found.tokens]
        renamed = theirs.gather(-2, swap[..., None].expand(theirs.shape))
        known = found.known & found.known.gather(-1, swap)
        known = known & truth.backbone_mask[..., : C + 1].all(-1, keepdim=True)
        squares = torch.stack([(ours - x).pow(2).sum(-1) for x in (theirs, renamed)])
        squares = (squares * known).sum(-1).amin(0)
        rmsd = (squares / known.sum(-1).clamp(min=1)).sqrt()
        figures = {"sidechain_rmsd_angstrom": masked_mean(rmsd, known.any(-1), NAN)}

        error = chi_cosine(chi, found.chi, found.tokens).clamp(-1, 1).acos()
        for k in range(CHIS):
            figures[f"chi{k + 1}_mae_radians"] = masked_mean(
                error[..., k], found.defined[..., k], NAN
            )
        has = tables().chi_mask.to(error.device)[found.tokens]
        whole = (found.defined == has).all(-1) & has.any(-1)
        near = ((error <= self.config.tolerance) | ~has).all(-1).to(error)
        figures["rotamer_recovery"] = masked_mean(near, whole, NAN)
        return figures


def _local(backbone: Tensor, sidechain: Tensor) -> Tensor:
    """[B, L, 10, 3] atoms in the N-Cα-C frames of their residues."""
    ca = backbone[..., CA, :]
    frame = gram_schmidt(ca, backbone[..., C, :], backbone[..., N, :])
    return (sidechain - ca[..., None, :]) @ frame
