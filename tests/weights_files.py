"""Weights for tests: perturbed models in files, and safetensors files taken apart."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.model import FoldModel
from minifold_core.weights.header import Header
from minifold_core.weights.io import components_of, save_weights


def perturbed(version: str, size: str = "nano", **values: Any) -> FoldModel:
    """A model none of whose tensors is as it was built, so that fresh ones tell themselves."""
    torch.manual_seed(7)
    model = assemble(version, size, values=values)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn_like(tensor) * 0.05)
    return model


def header_of(model: FoldModel, **fields: Any) -> Header:
    recipe = model.recipe
    return Header(recipe=recipe.to_tables(), components=components_of(recipe), **fields)


def save(path: Path, model: FoldModel, tensors: dict[str, Tensor] | None = None) -> Path:
    """Write a model, perhaps with other tensors than its own."""
    fields = header_of(model, step=120, epoch=30, encoder="trained")
    save_weights(path, tensors or model.state_dict(), fields)
    return path


def sha256(path: Path) -> str:
    """As other tools print it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def take_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header and data."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def put_together(header: dict[str, Any] | str, data: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + data


def snapshot(model: FoldModel) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def unchanged(model: FoldModel, before: dict[str, Tensor]) -> bool:
    """Whether a model is bit for bit as it was."""
    now = {name: _bits(tensor) for name, tensor in model.state_dict().items()}
    return now == {name: _bits(tensor) for name, tensor in before.items()}


def _bits(tensor: Tensor) -> bytes:
    return tensor.contiguous().numpy().tobytes()
