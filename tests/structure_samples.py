"""Chains with gaps, and samples of them that are wrong in known ways."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain

CODES = (("1.10.8",), ("2.40.50",), ("3.30.70",), (), ("1.20.5",), ("1.10.8", "2.40.50"))
"""CATH codes that are made up."""


def two_chains() -> list[Chain]:
    """Two demo chains; the first lacks residues, Cα and other atoms."""
    whole = sorted(open_dataset(), key=len)
    index, known = whole[1].residue_index.copy(), whole[1].backbone_mask.copy()
    index[12:] += 5
    known[[4, 20, 22], 1] = False
    known[8, 0] = False
    first = replace(whole[1], residue_index=index, backbone_mask=known)
    return [replace(first, name="a_rather_long_name.A"), whole[8]]


def noisy_samples(chains: Sequence[Chain]) -> dict[str, Tensor]:
    """Name to [L, 3]: each chain with some noise and a displaced end, turned and moved."""
    rng = np.random.default_rng(3)
    made = {}
    for chain in chains:
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        moved = chain.ca + rng.normal(size=chain.ca.shape)
        moved[-len(chain) // 4 :] += 9
        made[chain.name] = torch.from_numpy((moved @ turn.T + 30).astype(np.float32))
    return made


def labelled_chains() -> list[Chain]:
    """The demo chains with labels that are made up; the first lacks residues and a Cα."""
    made = [replace(c, cath=CODES[i % 6]) for i, c in enumerate(open_dataset())]
    index, known = made[0].residue_index.copy(), made[0].backbone_mask.copy()
    index[40:] += 7
    known[10] = False
    made[0] = replace(made[0], residue_index=index, backbone_mask=known)
    return made
