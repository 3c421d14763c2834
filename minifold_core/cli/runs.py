"""``minifold runs``: what training left on this disk. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, show
from minifold_core.cli.run_page import print_run, started
from minifold_core.console import note
from minifold_core.errors import MinifoldError

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.recipe_diff import Change
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
    from minifold_core.runs import find_runs, read_run

    records = [read_run(path) for path in find_runs(directory)]
    records.sort(key=lambda run: (run.said("started"), str(run.directory)))
    if as_json:
        emit_json([_summary(run) for run in records])
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
    from minifold_core.runs import read_run

    record = read_run(run)
    problems = list(record.problems)
    version, changed = _changes(record, problems)
    origin = _origin(record, problems)
    if as_json:
        emit_json(
            _summary(record)
            | {
                "lineage": list(record.meta.lineage),
                "environment": record.environment,
                "recipe_changes": {
                    "version": version,
                    "values": {key: change._asdict() for key, change in changed.items()},
                },
                "origin": origin,
                "migration": record.migration or None,
                "epochs_table": record.rows,
                "weights": record.weights,
                "problems": problems,
            }
        )
        return
    for problem in problems[:MOST]:
        note(f"warning: {problem}")
    print_run(record, origin, version, changed)


def _summary(run: RunRecord) -> dict[str, Any]:
    best = run.best
    return {
        "run": str(run.directory),
        "version": run.meta.id,
        "size": run.meta.size,
        "state": run.standing,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "step": run.step,
        "state_step": run.progress.get("step"),
        "best": {"epoch": best[0], "total": best[1]} if best else None,
        "last": run.last,
        "started": run.said("started"),
        "problems": list(run.problems),
    }


def _changes(run: RunRecord, problems: list[str]) -> tuple[str | None, dict[str, Change]]:
    """The version that the run's recipe comes from, and what the run's says otherwise."""
    from minifold_core.recipe import recipe_from_tables
    from minifold_core.recipe_diff import changes, nearest_version
    from minifold_core.runs import RECIPE

    if not run.meta.id:
        return None, {}
    try:
        recipe = recipe_from_tables(run.tables, str(run.directory / RECIPE))
        version = nearest_version(recipe)
        return version, changes(recipe, version) if version else {}
    except MinifoldError as error:
        problems.append(f"its recipe cannot be compared: {error}")
        return None, {}


def _origin(run: RunRecord, problems: list[str]) -> list[str]:
    """Where the first weights came from, a phrase for each source."""
    from minifold_core.weights.header import RANDOM, read_header

    found = []
    report = run.migration
    try:
        if report:
            share = 100 * report["given"] / max(report["total"], 1)
            found.append(f"{report['source']['label']} ({share:.1f} per cent of the parameters)")
    except (KeyError, TypeError):
        problems.append("migration.json is damaged: it is no report of a migration")
    for name in run.weights[:1]:
        try:
            header = read_header(run.directory / name)
        except MinifoldError as error:
            problems.append(f"{name} is damaged: {error}")
            continue
        found += [f"{slot} of weights {digest[:12]}" for slot, digest in header.parents.items()]
        if header.encoder == RANDOM:
            found.append("an encoder that was never trained")
    return found
