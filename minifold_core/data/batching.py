"""Chains as the padded batch that models take."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

from minifold_core.batch import ProteinBatch
from minifold_core.cath import LEVELS, label
from minifold_core.data.records import Chain
from minifold_core.residues import PAD, encode


def collate(chains: Sequence[Chain]) -> ProteinBatch:
    """Pad B chains to the longest, L; PAD, zeros and False beyond each chain's end.

    Usable as ``collate_fn`` of a ``torch.utils.data.DataLoader``.
    """
    tokens = [torch.tensor(encode(chain.sequence)) for chain in chains]
    index = [torch.from_numpy(chain.residue_index).long() for chain in chains]
    backbone = [torch.from_numpy(chain.backbone) for chain in chains]
    known = [torch.from_numpy(chain.backbone_mask) for chain in chains]
    return ProteinBatch(
        tokens=pad_sequence(tokens, batch_first=True, padding_value=PAD),
        residue_index=pad_sequence(index, batch_first=True),
        backbone=pad_sequence(backbone, batch_first=True),
        backbone_mask=pad_sequence(known, batch_first=True),
        cath=torch.tensor([[label(chain.cath, level) for level in LEVELS] for chain in chains]),
        names=tuple(chain.name for chain in chains),
    )
