"""The report of a migration on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minifold_core.cli.output import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from minifold_core.weights.report import Report


def migration_table(report: Report) -> RenderableType:
    """What becomes of the tensors, readable at 80 columns."""
    from rich.console import Group

    given, total = report.given, report.total
    numbers = ("tensors", "parameters", "per cent")
    listing = table("slot", "verdict", *numbers, numbers=numbers)
    for row in report.rows:
        percent = "–" if row.percent is None else f"{row.percent:.1f}"
        figures = (str(row.tensors), f"{row.parameters:,}", percent)
        listing.add_row(row.slot or "(no slot)", row.verdict, *figures)
    share = 100 * given / max(total, 1)
    line = f"{given:,} of {total:,} parameters come from the file ({share:.1f} per cent)"
    head = f"{report.source['label']} → {report.target['version']} ({report.target['size']})"
    return Group(head, listing, line, *report.remarks())
