"""What ``minifold show`` prints of a version's record: its card, and what was published of it."""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from minifold_core.cards import card_of
from minifold_core.cli.curve import curve
from minifold_core.cli.output import show
from minifold_core.registry import entry, history, printed_history, published_best
from minifold_core.weights.known import weights_of

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.discovery import VersionPackage
    from minifold_core.weights.known import Known

TOTAL = "val_total"


def record(package: VersionPackage | None) -> dict[str, Any]:
    """Card, best published figures, published table and named weights, as ``--json`` has them."""
    if package is None:
        return {"card": None, "published": None, "history": [], "weights": []}
    card = card_of(package)
    return {
        "card": card.model_dump(mode="json") if card else None,
        "published": published_best(package),
        "history": history(package),
        "weights": [known.to_json() for known in weights_of(package.id).values()],
    }


def print_record(package: VersionPackage) -> None:
    """Print weights, published figures and their curve, and what the card says of the version."""
    card, best = card_of(package), published_best(package)
    width = min(shutil.get_terminal_size().columns, 100)
    if named := [_in_words(known) for known in weights_of(package.id).values()]:
        _print_paragraph(f"weights: {', '.join(named)}", width)
    hardware = f" on {card.hardware}" if card and card.hardware else ""
    if best or card:
        found = _figures(best) if best else "no figures"
        _print_paragraph(f"published{hardware}: {found}", width)
    _print_table(package, width)
    if card and card.learned:
        _print_paragraph(f"learned: {card.learned}", width)
    if card and card.wrong:
        print("wrong, in it or on the published page:")
        for fault in card.wrong:
            _print_paragraph(f"- {fault}", width)
    print()


def _in_words(known: Known) -> str:
    size = known.entry.size
    return f"{known.name} of size {size}" if size else known.name


def _figures(row: dict[str, Any]) -> str:
    """The total of a best epoch, whose other terms stand in the table; all figures without one."""
    named = {TOTAL: row[TOTAL]} if TOTAL in row else {k: v for k, v in row.items() if k != "epoch"}
    best = f"best epoch {row['epoch']}, " if "epoch" in row else ""
    return best + ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in named.items())


def _print_table(package: VersionPackage, width: int) -> None:
    rows, best = printed_history(package), entry(package).best_epoch
    if not rows:
        return
    show(_table(rows, str(best)))
    points = {
        row["epoch"]: row[TOTAL]
        for row in history(package)
        if isinstance(row.get("epoch"), int) and isinstance(row.get(TOTAL), int | float)
    }
    if points:
        print("\nvalidation total by epoch (▲ best)", *curve(points, best, width), sep="\n")
    print()


def _table(rows: list[dict[str, str]], best: str) -> Table:
    """The published table as printed; names break at underscores, so that 80 columns hold it."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 1, 0, 0), header_style="")
    for name in rows[0]:
        made.add_column(
            name.replace("_", "\n"),
            justify="left" if name == "status" else "right",
            vertical="bottom",
        )
    for row in rows:
        mark = "*" if row.get("epoch") == best else ""
        cells = {**row, "epoch": f"{mark}{row.get('epoch', '')}"}
        made.add_row(*(cells[name] or "–" for name in rows[0]))
    return made


def _print_paragraph(text: str, width: int) -> None:
    print(textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False))
