"""What was asked for in a directory, compared before more is put there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from minifold_core.errors import RequestError


def read_asked(record: Path, names: Iterable[str]) -> dict[str, Any]:
    """The values of those names in a record, which is a JSON object.

    Raises:
        RequestError: it cannot be read, or lacks a name.
    """
    try:
        said = json.loads(record.read_text(encoding="utf-8"))
        return {name: said[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{record} cannot be read ({error}); choose another --out") from None


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What is not as it was, such as ``steps was 50, is 10``; digests by their first digits."""
    return [
        f"{name} was {_short(before[name])}, is {_short(value)}"
        for name, value in now.items()
        if before[name] != value
    ]


def _short(value: object) -> str:
    text = str(value)
    return (text[:12] if len(text) == len(sha256().hexdigest()) else text) or "none"
