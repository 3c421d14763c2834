"""Results as JSON and CSV."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minifold_core.files import atomic


def json_text(value: Any) -> str:
    """A result as JSON; not-a-number becomes null."""
    return json.dumps(finite(value), indent=2)


def write_json(path: Path, value: Any) -> None:
    """Write a result as JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json_text(value) + "\n", encoding="utf-8")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all; not-a-number is left empty.

    Args:
        path: the file.
        rows: at least one; all have the columns of the first.
    """
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(finite(row) for row in rows)


def finite(value: Any) -> Any:
    """A result as JSON can hold it: not-a-number becomes None."""
    if isinstance(value, Mapping):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
