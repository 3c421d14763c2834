"""What ``minifold ablate`` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minifold_core.ablation.table import change, number, spread
from minifold_core.cli.output import millions, table

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.ablation.budget import Budget
    from minifold_core.ablation.trainings import Standing, Training


def results_table(rows: Sequence[Mapping[str, Any]], first: str) -> Table:
    """Floors and recipes, two lines each: a mean above its interval."""
    seeds = any(row["tm_minus_first_seeds_low"] is not None for row in rows)
    over = "seeds" if seeds else "chains"
    columns = ("", "TM-score", "own minus\nshuffled", "lDDT\nP@L", f"minus {first}\nover {over}")
    made = table(*columns, caption="brackets: 95 % intervals, over chains unless it says seeds")
    made.columns[0].no_wrap = False
    made.columns[0].overflow = "fold"
    for column in made.columns[1:]:
        column.no_wrap = True
    ended = False
    for row in rows:
        if row["kind"] == "recipe" and not ended:
            made.add_section()
            ended = True
        difference = change(row, "tm_minus_first", "_seeds" if seeds else "")
        made.add_row(
            _name(row),
            f"{number(row['tm'])}\n{spread(row, 'tm')}".strip(),
            _two_lines(change(row, "tm_minus_shuffled")),
            f"{number(row['lddt'])}\n{number(row['precision_L_24'])}",
            _two_lines(difference),
        )
    return made


def plan_table(each: Sequence[tuple[Training, Standing]], budget: Budget) -> Table:
    """How far every training is."""
    made = table("recipe", "seed", "", f"of {budget}", numbers=("seed", f"of {budget}"))
    for training, now in each:
        share = f"{100 * now.used(budget):.0f} %"
        made.add_row(training.entry.label, str(training.seed), str(now), share)
    return made


def _name(row: Mapping[str, Any]) -> str:
    if row["kind"] != "recipe":
        return str(row["name"])
    return f"{row['name']}\n{row['steps']:,.0f} steps\n{millions(row['parameters'])}"


def _two_lines(text: str) -> str:
    return text.replace(" (", "\n(")
