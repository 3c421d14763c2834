"""Tensors kept in a file, and what is said of them, for work that may be stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from minifold_core.files import atomic

KEY = "minifold_kept"


def keep_tensors(path: Path, tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> None:
    """Write tensors, and what is said of them, as JSON can hold it.

    Raises:
        MinifoldError: they cannot be written.
    """
    with atomic(path) as temporary:
        save_file(
            {name: each.contiguous() for name, each in tensors.items()},
            temporary,
            metadata={KEY: json.dumps(dict(said))},
        )


def kept_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors of a file and what is said of them; None without a file that can be read."""
    try:
        with safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {})[KEY])
            return {name: file.get_tensor(name) for name in file.keys()}, said  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
