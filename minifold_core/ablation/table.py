"""The table of an ablation as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

from minifold_core.evaluation.paired import text_of

COLUMNS = (
    *("", "seeds", "steps", "s of steps", "parameters", "TM-score", "own minus shuffled"),
    *("minus best floor", "lDDT", "P@L ≥24", "minus first, over chains", "over seeds"),
)


def markdown(
    rows: Sequence[Mapping[str, Any]], about: str, sentences: Sequence[str], picture: str
) -> str:
    """A page: what was asked, the table, what may be said, and the picture.

    Args:
        rows: of floors and recipes.
        about: what was asked.
        sentences: what may be said.
        picture: its file's name.
    """
    lines = ["# Ablation", "", about, "", _line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line(_cells(row)) for row in rows]
    lines += ["", "Brackets are 95 % intervals.", ""]
    lines += [part for sentence in sentences for part in (sentence, "")]
    return "\n".join([*lines, f"![TM-score of every recipe]({picture})", ""])


def number(value: float | None, digits: int = 3) -> str:
    """A dash for what is not defined."""
    return "–" if value is None or isnan(value) else f"{value:,.{digits}f}"


def spread(row: Mapping[str, Any], name: str) -> str:
    """The interval of a mean, such as ``(0.290, 0.334)``; empty if there is none."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return "" if low is None or high is None else f"({low:.3f}, {high:.3f})"


def change(row: Mapping[str, Any], name: str, over: str = "") -> str:
    """A difference with its interval; empty if there is none. ``over`` is part of its columns."""
    low, high = row[f"{name}{over}_low"], row[f"{name}{over}_high"]
    interval = None if low is None or high is None else (low, high)
    return "" if row[name] is None else text_of(row[name], interval)


def _cells(row: Mapping[str, Any]) -> list[str]:
    recipe = row["kind"] == "recipe"
    counts = [number(row[name], 0) for name in ("seeds", "steps", "seconds", "parameters")]
    seeds = row["tm_minus_first_seeds_low"] is not None
    return [
        row["name"] if recipe else f"floor: {row['name']}",
        *(counts if recipe else [""] * len(counts)),
        f"{number(row['tm'])} {spread(row, 'tm')}".strip(),
        change(row, "tm_minus_shuffled"),
        change(row, "tm_minus_best_floor"),
        number(row["lddt"]),
        number(row["precision_L_24"]),
        change(row, "tm_minus_first"),
        change(row, "tm_minus_first", "_seeds") if seeds else "",
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
