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
    noise of a sample, is drawn alike for both. Side chains are left out; rows of embeddings go with
    their residues, and still tell of the neighbours that those had.
    """
    generator = np.random.default_rng(crc32(f"{seed}/{chain.name}/shuffled".encode()))
    order = generator.permutation(len(chain))
    return replace(
        chain,
        sequence="".join(chain.sequence[place] for place in order),
        sidechain=None,
        sidechain_mask=None,
        embeddings=None if chain.embeddings is None else chain.embeddings[order],
    )


def reads_sequence(model: FoldModel) -> bool:
    """Whether any part of the model is given the residues."""
    return any("tokens" in step.reads for step in model.wiring.steps)
