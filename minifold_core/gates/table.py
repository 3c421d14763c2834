"""The gates of a version as tables of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from minifold_core.gates.record import GateReport, Outcome

if TYPE_CHECKING:
    from rich.table import Table

TITLES = {
    "g0": "scores",
    "g1": "sampler",
    "g2": "linear denoiser",
    "g3": "one chain",
    "g4": "sixteen chains",
}
WORDS = {
    Outcome.PASS: "pass",
    Outcome.STOP: "STOP",
    Outcome.NONE: "–",
    Outcome.FAILED: "FAILED",
}


def tables(report: GateReport) -> Iterator[Table]:
    """What each gate asked and what was seen; then the linear denoiser in each noise bin."""
    yield _gates(report)
    for finding in report.findings:
        if bins := finding.figures.get("bins"):
            yield _bins(bins)


def _gates(report: GateReport) -> Table:
    made = _table(f"{report.version} ({report.size})", "gate", "asked", "seen", "")
    for finding in report.findings:
        name = f"{finding.gate} {TITLES[finding.gate]}"
        made.add_row(name, finding.asked, finding.seen, WORDS[finding.outcome])
    return made


def _bins(bins: list[dict[str, Any]]) -> Table:
    title = "squared error of x̂_0 per residue in Å², nothing learned"
    made = _table(title, "t", "linear denoiser", "seen/expected", "one point", "x_t itself")
    for column in made.columns[1:]:
        column.justify = "right"
    for row in bins:
        made.add_row(
            row["bin"].removeprefix("t"),
            f"{row['closed']:.1f}",
            f"{row['ratio']:.3f} ± {row['allowed']:.3f}",
            f"{row['one_point']:.1f}",
            f"{row['state_itself']:.1f}",
        )
    return made


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
