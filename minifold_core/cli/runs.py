"""``minifold runs``: what training left on this disk. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, show
from minifold_core.cli.run_page import print_run, started
from minifold_core.console import note

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.runs import RunRecord

app = typer.Typer(no_args_is_help=True, help="List and show what training left.")

MOST = 12
"""Problems that are printed of a run."""


@app.command("list")
def list_runs(
    directory: Annotated[Path, typer.Argument(help="Where to look, at any depth.")] = Path("runs"),
    as_json: JsonOption = False,
) -> None:
    """List runs, the oldest first: how far they are, how good, and whether they can go on."""
    from minifold_core.run_facts import summary
    from minifold_core.runs import find_runs, read_run

    records = [read_run(path) for path in find_runs(directory)]
    records.sort(key=lambda run: (run.said("started"), str(run.directory)))
    if as_json:
        emit_json([summary(run) for run in records])
        return
    if not records:
        print(f"no run in {directory}; start one with minifold train VERSION --size nano")
        return
    show(_listing(records, directory))
    print("best: lowest validation total (epoch) · started: UTC · minifold runs show RUN")
    for run in records:
        for problem in run.problems[:1]:
            note(f"warning: {run.directory}: {problem}")


def _listing(records: list[RunRecord], directory: Path) -> Table:
    """A line for each run; two where the terminal is too narrow."""
    from rich.console import Console
    from rich.table import Table

    columns = ("run", "version", "epoch", "step", "best", "last", "started", "state")
    rows = [_listed(run, directory) for run in records]
    widths = (max(map(len, cells)) + 1 for cells in zip(columns, *rows, strict=True))
    if sum(widths) > Console().width:
        rows = [(row[0], *(c.replace(" ", "\n") for c in row[1:-1]), row[-1]) for row in rows]
    made = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="")
    for column in columns:
        number = column in ("epoch", "step", "best", "last")
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def _listed(run: RunRecord, directory: Path) -> tuple[str, ...]:
    return (
        str(run.directory.relative_to(directory)) if run.directory != directory else ".",
        f"{run.meta.id or '?'} {run.meta.size}".strip(),
        f"{run.epoch}/{run.epochs or '?'}",
        str(run.step),
        f"{run.best[1]:.3f} ({run.best[0]})" if run.best else "–",
        "–" if run.last is None else f"{run.last:.3f}",
        started(run),
        run.standing,
    )


@app.command("show")
def show_run(
    run: Annotated[Path, typer.Argument(help="A run directory.")], as_json: JsonOption = False
) -> None:
    """Show a run: its recipe's changes, data, origin, epochs and what can be done next."""
    from minifold_core.run_facts import description, facts_of
    from minifold_core.runs import read_run

    record = read_run(run)
    facts = facts_of(record)
    if as_json:
        emit_json(description(record, facts))
        return
    for problem in facts.problems[:MOST]:
        note(f"warning: {problem}")
    print_run(record, facts.origin, facts.version, facts.changed)
