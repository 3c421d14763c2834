"""Samples of trained runs, kept beside them until something that they depend on changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from minifold_core.comparison.quantities import Trained
from minifold_core.kept_tensors import keep_tensors, kept_tensors

Traces = dict[str, Tensor]
"""Chain name to [N, L, 3] Cα in ångström."""
OWN, SHUFFLED = "own", "shuffled"


@dataclass(frozen=True)
class Sampled:
    """What one training makes of every chain.

    Attributes:
        trained: the weights.
        parameters: of the whole model.
        own: samples of the chains.
        shuffled: samples of the chains with their residues in another order, from the same noise;
            empty for a model that reads no residues.
    """

    trained: Trained
    parameters: int
    own: Traces
    shuffled: Traces


def keep_samples(path: Path, sampled: Sampled, asked: Mapping[str, Any]) -> None:
    """Write samples, and what they depend on.

    Raises:
        MinifoldError: they cannot be written.
    """
    tensors = {f"{OWN}/{name}": trace for name, trace in sampled.own.items()}
    tensors |= {f"{SHUFFLED}/{name}": trace for name, trace in sampled.shuffled.items()}
    keep_tensors(path, tensors, {"asked": dict(asked), "parameters": sampled.parameters})


def kept_samples(path: Path, trained: Trained, asked: Mapping[str, Any]) -> Sampled | None:
    """The samples in a file; None if there are none, or they were made otherwise."""
    tensors, said = kept_tensors(path) or ({}, {})
    if said.get("asked") != dict(asked):
        return None
    found: dict[str, Traces] = {OWN: {}, SHUFFLED: {}}
    for name, trace in tensors.items():
        kind, _, chain = name.partition("/")
        found[kind][chain] = trace
    return Sampled(trained, said["parameters"], found[OWN], found[SHUFFLED])
