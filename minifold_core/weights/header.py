"""The header of a weights file: read without torch, written beside every set of tensors."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minifold_core.errors import RequestError

SCHEMA = 1
KEY = "minifold_weights"
MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format itself."""


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself.

    Attributes:
        recipe: the resolved recipe, as :meth:`minifold_core.recipe.Recipe.to_tables` gives it.
        components: slot path to ``"name/version"`` of the component that made the tensors.
        step: optimizer steps taken.
        epoch: epochs finished, 0 if none.
        encoder: where the frozen encoder's weights came from; ``"random"`` if from nowhere.
        data: the training data, by name.
        metrics: validation figures at that epoch.
    """

    recipe: dict[str, Any]
    components: dict[str, str]
    step: int = 0
    epoch: int = 0
    encoder: str = "random"
    data: str = ""
    metrics: dict[str, float] = field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """The header as safetensors metadata."""
        return {KEY: json.dumps({"schema": SCHEMA, **asdict(self)})}


def read_header(path: str | Path) -> Header:
    """Read the header of a weights file that minifold wrote, and nothing else of it.

    Raises:
        RequestError: no such file, not safetensors, not minifold's, or of a newer schema.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > MAX_HEADER:
                raise ValueError("its header length is impossible")
            metadata = json.loads(file.read(size)).get("__metadata__", {})
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, AttributeError) as error:
        raise RequestError(f"{path} is not a safetensors file ({error})") from None
    if KEY not in metadata:
        raise RequestError(f"{path} holds no weights written by minifold: its header has no recipe")
    try:
        fields = json.loads(metadata[KEY])
        schema = fields.pop("schema")
        if schema > SCHEMA:
            raise RequestError(
                f"{path} has weights schema {schema}, newer than {SCHEMA}; update minifold"
            )
        return Header(**fields)
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{path}: its minifold header is damaged ({error})") from None


def find_weights(path: str | Path) -> Path:
    """The weights file that a path means: the file itself, or a run's best (else last) weights.

    Raises:
        RequestError: there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    for name in ("best.safetensors", "last.safetensors"):
        if (path / name).is_file():
            return path / name
    what = "holds no best.safetensors or last.safetensors" if path.is_dir() else "does not exist"
    raise RequestError(f"{path} {what}; give a run directory or a .safetensors file")
