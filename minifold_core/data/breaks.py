"""Where a chain is broken, told from its coordinates first and its numbering second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_C_N = 2.0
"""Longest C(i)-N(i+1) distance that still counts as a peptide bond, in ångström (ideal: 1.33)."""
MAX_CA_CA = 4.5
"""Longest Cα-Cα distance of bonded residues where C or N is unknown, in ångström (trans: 3.8)."""


def linked(
    backbone: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether consecutive residues are bonded, by C-N distance, else by Cα-Cα distance.

    Args:
        backbone: [L, 4, 3] N, Cα, C, O in ångström.
        mask: [L, 4] which atoms are known.

    Returns:
        [L-1] bonded, and [L-1] broken; neither where the atoms to judge by are unknown.
    """
    c_n = np.linalg.norm(backbone[1:, 0] - backbone[:-1, 2], axis=-1)
    ca_ca = np.linalg.norm(backbone[1:, 1] - backbone[:-1, 1], axis=-1)
    by_bond = mask[:-1, 2] & mask[1:, 0]
    by_ca = mask[:-1, 1] & mask[1:, 1]
    near = np.where(by_bond, c_n <= MAX_C_N, ca_ca <= MAX_CA_CA)
    judged = by_bond | by_ca
    return judged & near, judged & ~near


def residue_index(
    backbone: NDArray[np.float32], mask: NDArray[np.bool_], numbers: NDArray[np.int_]
) -> NDArray[np.int32]:
    """Position of each residue along its chain, from 0, jumping where residues are missing.

    Bonded residues are consecutive whatever their numbers say (insertion codes repeat a number,
    some numbering schemes skip some). Across a break the numbers tell how many are missing, at
    least one. Where coordinates cannot tell, the numbers do.

    Args:
        backbone: [L, 4, 3] N, Cα, C, O in ångström.
        mask: [L, 4] which atoms are known.
        numbers: [L] residue numbers of the file.

    Returns:
        [L] strictly increasing, starting at 0.
    """
    bonded, broken = linked(backbone, mask)
    step = np.maximum(np.diff(numbers), np.where(broken, 2, 1))
    step[bonded] = 1
    return np.concatenate([[0], np.cumsum(step)])[: len(numbers)].astype(np.int32)
