"""Results on stdout: JSON, or rich tables that fit the terminal."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


def emit_json(value: Any) -> None:
    """Print a result as JSON; not-a-number becomes null."""
    print(json.dumps(finite(value), indent=2))


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """A plain rich table; columns in ``numbers`` are right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    made.columns[0].no_wrap = True  # names stay whole, to be copied and searched for
    return made


def show(renderable: Any) -> None:
    """Print something rich can draw on stdout."""
    from rich.console import Console

    Console(highlight=False).print(renderable)


def millions(count: int | None) -> str:
    """A parameter count for people."""
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


def finite(value: Any) -> Any:
    """A result as JSON can hold it: not-a-number becomes None."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
