"""Samples of trained runs, kept beside them until something that they depend on changes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minifold_core.comparison.quantities import Trained
from minifold_core.files import atomic

Traces = dict[str, Tensor]
"""Chain name to [N, L, 3] Cα in ångström."""
OWN, SHUFFLED = "own", "shuffled"
KEY = "minifold_ablation_samples"


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
    said = {"asked": dict(asked), "parameters": sampled.parameters}
    with atomic(path) as temporary:
        save_file(
            {name: each.contiguous() for name, each in tensors.items()},
            temporary,
            metadata={KEY: json.dumps(said)},
        )


def kept_samples(path: Path, trained: Trained, asked: Mapping[str, Any]) -> Sampled | None:
    """The samples in a file; None if there are none, or they were made otherwise."""
    try:
        with safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {}).get(KEY, "{}"))
            if said.get("asked") != dict(asked):
                return None
            found: dict[str, Traces] = {OWN: {}, SHUFFLED: {}}
            for name in file.keys():  # noqa: SIM118  # no mapping
                kind, _, chain = name.partition("/")
                found[kind][chain] = file.get_tensor(name)
    except (OSError, SafetensorError, ValueError):
        return None
    return Sampled(trained, said["parameters"], found[OWN], found[SHUFFLED])
