"""``minifold report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json
from minifold_core.results import finite

NAME = "report.html"


def report(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to; default RUN/report.html, written anew."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page of a run: its curves, epochs, recipe, origin and cost.

    The scores of structures that were sampled while it trained are on it, if any were; "minifold
    evaluate" samples and judges more. The page is one file that asks nothing of any network.
    --json prints what it shows.
    """
    from minifold_core.report.page import check_target, is_ours
    from minifold_core.run_facts import facts_of
    from minifold_core.runs import read_run

    record = read_run(run)
    path = html or run / NAME
    if html or not is_ours(path):
        check_target(path)
    from minifold_core.report.run import run_data, write_run

    data = finite(run_data(record, facts_of(record)))
    write_run(record, data, path)
    if as_json:
        emit_json(data)
    else:
        print(f"page: {path}")
