"""How long, where and how to train."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True)
class Options:
    """How long, where and how to train; what the recipe leaves to the user.

    Attributes:
        device: where to compute.
        precision: fp32, bf16 or fp16.
        seed: of order, noise and everything else that is drawn.
        max_steps: optimizer steps at most.
        max_epochs: epochs at most.
        max_seconds: seconds of training steps at most; the step in which they end is still taken.
        workers: processes that read the data ahead.
        compile: translate the parts with torch.compile.
        tensorboard: also write what is logged as TensorBoard's event files.
        save_every: seconds between two states within an epoch.
        keep: which epochs' weights to keep.
        data: the training data, by name.
        data_path: where they lie, or ``demo``.
        data_digest: their SHA-256.
        embeddings: the file of precomputed embeddings, if the model reads any.
        embeddings_digest: its SHA-256.
        origin: header fields that say where the first weights came from.
    """

    device: torch.device
    precision: str = "fp32"
    seed: int = 0
    max_steps: int | None = None
    max_epochs: int | None = None
    max_seconds: float | None = None
    workers: int = 0
    compile: bool = False
    tensorboard: bool = False
    save_every: float = 600.0
    keep: str = ""
    data: str = ""
    data_path: str = "demo"
    data_digest: str = ""
    embeddings: str = ""
    embeddings_digest: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
