"""The model's own floor: what it makes of the same residues in another order."""

from __future__ import annotations

from dataclasses import replace
from zlib import crc32

import numpy as np

from minifold_core.data.records import Chain
from minifold_core.model import FoldModel

SHUFFLED = "shuffled sequence"


def shuffled(chain: Chain, seed: int = 0) -> Chain:
    """The chain with its residues in another order, and its atoms where they were.

    Composition and length stay, and so does the name: what is drawn for that name, such as the
    noise of a sample, is drawn alike for both. Side chains are left out.
    """
    generator = np.random.default_rng(crc32(f"{seed}/{chain.name}/shuffled".encode()))
    letters = generator.permutation(list(chain.sequence))
    return replace(chain, sequence="".join(letters), sidechain=None, sidechain_mask=None)


def reads_sequence(model: FoldModel) -> bool:
    """Whether any part of the model is given the residues."""
    return any("tokens" in step.reads for step in model.wiring.steps)
