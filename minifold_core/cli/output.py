"""Results on stdout: as JSON, or as tables and sentences that fit the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.errors import ProtectedError
from minifold_core.results import json_text

if TYPE_CHECKING:
    from rich.table import Table


def emit_json(value: Any) -> None:
    """Print a result as JSON; not-a-number becomes null."""
    print(json_text(value))


def check_out(out: Path | None, option: str = "--out") -> None:
    """Refuse a directory for results that holds something, before anything is computed.

    Raises:
        ProtectedError: it does, or it is a file.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ProtectedError(f"{option} {out} exists and is not empty; choose another directory")


def table(*columns: str, numbers: tuple[str, ...] = (), caption: str | None = None) -> Table:
    """A plain rich table, ``caption`` below it; columns in ``numbers`` are right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=caption, caption_justify="left")
    for column in columns:
        made.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    made.columns[0].no_wrap = True  # names stay whole, to be copied and searched for
    return made


def keeps_words(made: Table) -> bool:
    """Whether a table breaks no word in the terminal on stdout (else in 80 columns)."""
    from rich.console import Console

    console = Console()
    return made.__rich_measure__(console, console.options).minimum <= console.width


def show(renderable: Any) -> None:
    """Print something rich can draw on stdout."""
    from rich.console import Console

    Console(highlight=False).print(renderable)


def say(*sentences: str) -> None:
    """Print sentences on stdout, a paragraph each, wrapped to the terminal (else 80 columns)."""
    from rich.text import Text

    for sentence in sentences:
        show(Text(sentence))


def millions(count: int | None) -> str:
    """A parameter count for people."""
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"
