"""The hand of helices: natural ones are right-handed, those of a mirror image left-handed."""

from __future__ import annotations

from torch import Tensor

from minifold_core.evaluation.secondary import HELIX_ANGLE, HELIX_D3, HELIX_DIHEDRAL
from minifold_core.evaluation.trace import local_geometry, places


def left_handed(ca: Tensor, mask: Tensor, residue_index: Tensor) -> Tensor:
    """[B] share of the helix windows that wind to the left; NaN without any window.

    A window is four consecutive Cα with P-SEA's angles, end-to-end distance and dihedral of a
    helix (89 ± 12°, 5.3 ± 0.5 Å, 50 ± 20°), the dihedral of either sign: positive winds to the
    right. Natural chains are not free of left-handed windows, for some turns have one.

    Args:
        ca: [B, L, 3] Cα in ångström.
        mask: [B, L] True where the Cα is known.
        residue_index: [B, L] increasing positions along the chain, from 0.
    """
    g = local_geometry(ca, mask, places(mask, residue_index))
    bent = (g.angle >= HELIX_ANGLE[0]) & (g.angle <= HELIX_ANGLE[1])
    twist = g.dihedral.abs()
    window = (g.d3 >= HELIX_D3[0]) & (g.d3 <= HELIX_D3[1])
    window &= (twist >= HELIX_DIHEDRAL[0]) & (twist <= HELIX_DIHEDRAL[1])
    window[:, :-1] &= bent[:, :-1] & bent[:, 1:]
    return (window & (g.dihedral < 0)).sum(1).double() / window.sum(1)
