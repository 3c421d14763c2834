"""Randomness as a function of where training stands, so that no generator's state need be kept.

Every number drawn in step ``n`` depends on the seed, on ``n`` and on the name of the protein, and
on nothing that happened before: a run that goes on at step ``n`` draws what the unbroken run drew,
and a protein gets the same noise in whatever batch or process it is.
"""

from __future__ import annotations

import random
from hashlib import blake2b

import numpy as np
import torch


def number(seed: int, *where: int | str) -> int:
    """An integer of 63 bits that ``seed`` and ``where`` decide."""
    text = "/".join(map(str, (seed, *where)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *where: int | str) -> torch.Generator:
    """A generator on the CPU that ``seed`` and ``where`` decide."""
    return torch.Generator().manual_seed(number(seed, *where))


def chance(probability: float, seed: int, *where: int | str) -> bool:
    """True with that probability, as ``seed`` and ``where`` decide."""
    return number(seed, *where) < probability * 2**63


def seed_all(seed: int, *where: int | str) -> None:
    """Seed the global generators of Python, numpy and torch (all devices), for strangers' parts."""
    chosen = number(seed, *where)
    random.seed(chosen)
    np.random.seed(chosen % 2**32)
    torch.manual_seed(chosen)
