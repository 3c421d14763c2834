"""Manifests: the tensors of each version and size, generated so that listings need no torch."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from minifold_core.discovery import VersionPackage
from minifold_core.errors import MinifoldError

SCHEMA = 1
NAME = "manifest.json"


@dataclass(frozen=True)
class Counts:
    """Parameters of a model: in all, those that train, and ``[all, training]`` by slot."""

    parameters: int
    trainable: int
    slots: dict[str, list[int]]


@cache
def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest beside a version's recipe; empty if it ships none.

    Raises:
        MinifoldError: it cannot be read, or is of a newer schema.
    """
    path = directory / NAME
    if not path.is_file():
        return {}
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if manifest["schema"] > SCHEMA:
            raise MinifoldError(f"{path} has manifest schema {manifest['schema']}; update minifold")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MinifoldError(f"{path} cannot be read: {error}") from None
    return manifest


def counts(package: VersionPackage, size: str) -> Counts | None:
    """Parameter counts of a version from its manifest; None if it ships none for that size."""
    table = read_manifest(package.directory).get("sizes", {}).get(size)
    return Counts(**table["counts"]) if table else None


def build_manifest(name: str, sizes: tuple[str, ...]) -> dict[str, Any]:
    """Make a version's manifest by building every size on the meta device (imports torch)."""
    import torch

    from minifold_core.assembly import assemble

    tables = {}
    for size in sizes:
        with torch.device("meta"):
            model = assemble(name, size)
        slots = {path: list(pair) for path, pair in model.parameter_counts().items()}
        total, training = (sum(pair[i] for pair in slots.values()) for i in (0, 1))
        tensors = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
        tables[size] = {"counts": asdict(Counts(total, training, slots)), "tensors": tensors}
    return {"schema": SCHEMA, "sizes": tables}


def dump_manifest(manifest: dict[str, Any]) -> str:
    """The text of a manifest file: one tensor a line, so that a change reads well in a diff."""
    text = json.dumps(manifest, indent=1)
    return re.sub(r"\[[\d,\s]+\]", lambda m: "".join(m[0].split()).replace(",", ", "), text) + "\n"
