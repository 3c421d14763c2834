"""Structures to be judged: ideal ones, and pieces of real chains."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.evaluation.generation.traces import Trace

LENGTH = 30


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def no_progress(what: str, total: int):
    return nullcontext(lambda steps, words="": None)


def trace(ca, source: str = "x") -> Trace:
    backbone = torch.zeros(len(ca), 4, 3, dtype=torch.float64)
    backbone[:, 1] = torch.as_tensor(np.asarray(ca), dtype=torch.float64)
    mask = torch.zeros(len(ca), 4, dtype=torch.bool)
    mask[:, 1] = True
    return Trace(f"{source}.A", source, backbone, mask)


def helix(length: int = LENGTH, hand: int = 1) -> np.ndarray:
    turn = hand * np.deg2rad(100) * np.arange(length)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)], -1)


def coil(generator: np.random.Generator) -> np.ndarray:
    steps = generator.normal(size=(LENGTH, 3))
    return np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=-1, keepdims=True), 0)


def chain_windows() -> list[Chain]:
    """Pieces of real chains, of 28 to 30 residues, each taken for a chain of its own entry."""
    chains = [
        chain.window(start, start + LENGTH)
        for chain in open_dataset()
        for start in range(0, len(chain) - LENGTH + 1, LENGTH)
    ]
    return [
        replace(c.window(0, 28 + i % 2 + i % 5 % 2), name=f"w{i}.A") for i, c in enumerate(chains)
    ]
