"""The header of a weights file: read without torch, written beside every set of tensors."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from pydantic import Field

from minifold_core.errors import RequestError
from minifold_core.recipe_schema import Section

SCHEMA = 1
KEY = "minifold_weights"
RANDOM, TRAINED = "random", "trained"
MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format itself."""


class Header(Section):
    """What a weights file says of itself.

    Attributes:
        recipe: the resolved recipe, as :meth:`minifold_core.recipe.Recipe.to_tables` gives it.
        components: slot path to ``"name/version"`` of the component that made the tensors.
        step: optimizer steps taken.
        epoch: epochs finished, 0 if none.
        encoder: ``"random"`` for a frozen encoder that was never trained, ``"trained"`` for one
            that trained here or came from a file where it had.
        parents: slot path to the SHA-256 of the file whose weights it started from.
        data: the training data, by name.
        metrics: validation figures at that epoch.
    """

    recipe: dict[str, Any]
    components: dict[str, str]
    step: int = 0
    epoch: int = 0
    encoder: str = RANDOM
    parents: dict[str, str] = Field(default_factory=dict)
    data: str = ""
    metrics: dict[str, float] = Field(default_factory=dict)

    def to_metadata(self) -> dict[str, str]:
        """The header as safetensors metadata."""
        return {KEY: json.dumps({"schema": SCHEMA, **self.model_dump()})}


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
            metadata = json.loads(file.read(size))["__metadata__"]
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, TypeError, KeyError) as error:
        raise RequestError(f"{path} is not a weights file of minifold ({error})") from None
    if not isinstance(metadata, dict) or KEY not in metadata:
        raise RequestError(f"{path} holds no weights written by minifold: its header has no recipe")
    try:
        fields = json.loads(metadata[KEY])
        schema = fields.pop("schema")
        if schema > SCHEMA:
            raise RequestError(
                f"{path} has weights schema {schema}, newer than {SCHEMA}; update minifold"
            )
        return Header.model_validate(fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        why = str(error).splitlines()[0]
        raise RequestError(f"{path}: its minifold header is damaged ({why})") from None


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
