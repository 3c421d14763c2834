"""What ``minifold runs show`` prints of a run, in 80 columns."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from minifold_core.cli.curve import curve
from minifold_core.cli.output import show, table
from minifold_core.evaluation.scores import SCORES

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.recipe_diff import Change
    from minifold_core.runs import RunRecord

WIDTH = 80
SHOWN = 12
"""Epochs and changed values that are printed; the files hold all."""


def print_run(
    run: RunRecord, origin: list[str], version: str | None, changed: dict[str, Change]
) -> None:
    """Print where a run stands, what it was made of, its epochs, scores and next commands.

    Args:
        run: the run.
        origin: where its first weights came from.
        version: the version that its recipe comes from.
        changed: what its recipe says otherwise.
    """
    _print_head(run, origin)
    _print_changes(version, changed)
    _print_epochs(run)
    _print_scores(run)
    _print_next(run)


def started(run: RunRecord) -> str:
    """When it began, to the minute."""
    return run.said("started")[:16].replace("T", " ") or "–"


def _print_head(run: RunRecord, origin: list[str]) -> None:
    print(
        f"{run.directory}: {run.meta.id or 'unknown recipe'} ({run.meta.size or '?'}), "
        f"{run.standing} · epoch {run.epoch}/{run.epochs or '?'} · step {run.step}"
    )
    known = [run.said(key) for key in ("device", "precision")]
    known += [f"{key} {run.said(key)}" for key in ("data", "seed") if run.said(key)]
    known += [f"started {started(run)} UTC"] if run.said("started") else []
    print(" · ".join(filter(None, known)))
    if origin:
        show(f"started from {'; '.join(origin)}")


def _print_changes(version: str | None, changed: dict[str, Change]) -> None:
    if version is None:
        return
    if not changed:
        print(f"recipe: as {version} has it")
        return
    print(f"recipe: {version}, but")
    for key, change in list(changed.items())[:SHOWN]:
        before, after = ("–" if value is None else value for value in change)
        print(f"  {key}: {before} → {after}")
    if len(changed) > SHOWN:
        print(f"  and {len(changed) - SHOWN} more, in recipe.toml")


def _print_epochs(run: RunRecord) -> None:
    """The first, the best and the last epochs, and the curve of all."""
    if not run.rows:
        print("\nno epoch has ended")
        return
    best = run.best[0] if run.best else None
    print()
    show(_table(run, best))
    if run.best:
        kind = "validation" if run.series("val/total_fixed") else "training"
        print(f"\n{kind} total by epoch (▲ best: {run.best[1]:.3f} in epoch {best})")
        width = min(shutil.get_terminal_size().columns, WIDTH)
        print(*curve(run.scores, best, width), sep="\n")


def _table(run: RunRecord, best: int | None) -> Table:
    """Totals and as many validation terms as 80 columns hold."""
    from rich.table import Table

    made = Table(box=None, padding=(0, 1, 0, 0), header_style="")
    columns = {"epoch": "epoch", "train total": "train/total_fixed", "val total": "val/total_fixed"}
    known = dict.fromkeys(name for row in run.rows for name in row)
    terms = [name for name in known if name.startswith("val/") and "@" not in name]
    terms = [name for name in terms if f"train/{name.removeprefix('val/')}" in known]
    columns |= {n.removeprefix("val/"): n for n in terms if not n.startswith("val/total")}
    columns |= {"seconds": "seconds"}
    shown: dict[str, str] = {}
    for title, name in columns.items():
        if sum(map(_column_width, [*shown, title])) <= WIDTH and name in known:
            shown[title] = name
    for title in shown:
        heading = title.replace("_", "\n").replace(" ", "\n")
        made.add_column(heading, justify="right", vertical="bottom", no_wrap=True)
    rows, previous = _chosen(run, best), None
    for row in rows:
        if previous is not None and row["epoch"] != previous + 1:
            made.add_row("⋮")
        previous = row["epoch"]
        made.add_row(*(_cell(name, row.get(name), best) for name in shown.values()))
    return made


def _chosen(run: RunRecord, best: int | None) -> list[dict[str, float]]:
    """The first epoch, the best one and the last ones."""
    kept = {run.rows[0]["epoch"], best} | {row["epoch"] for row in run.rows[-SHOWN:]}
    return [row for row in run.rows if row["epoch"] in kept]


def _column_width(title: str) -> int:
    return max(6, *map(len, title.replace(" ", "_").split("_"))) + 1


def _cell(name: str, value: float | None, best: int | None) -> str:
    if value is None:
        return "–"
    if name == "epoch":
        return f"{'*' if value == best else ''}{value:.0f}"
    return f"{value:.0f}" if name == "seconds" else f"{value:.3f}"


def _print_scores(run: RunRecord) -> None:
    """The latest scores of sampled structures beside the floors on the same chains."""
    from minifold_core.run_facts import sampled_scores

    found = sampled_scores(run)
    if not found:
        return
    latest, scores = found
    sampled = run.series("sampled/tm")
    print(f"\nstructures sampled in epoch {latest}", end="")
    top = max(sampled, key=lambda epoch: sampled[epoch])
    print(f" (highest TM-score: {sampled[top]:.3f} in epoch {top})" if top != latest else "")
    shown = [facts for name, facts in SCORES.items() if any(name in own for own in scores.values())]
    headings = tuple(facts.heading for facts in shown)
    listing = table("", *headings, numbers=headings)
    for who, values in scores.items():
        cells = (f"{values[s.name]:.{s.digits}f}" if s.name in values else "–" for s in shown)
        listing.add_row(who, *cells)
    show(listing)


def _print_next(run: RunRecord) -> None:
    name, data = shlex.quote(str(run.directory)), shlex.quote(run.said("data") or "demo")
    commands = [f"resume {name}"] if run.standing == "resumable" else []
    if run.weights and "process" in run.tables:
        commands.append(f"sample {name} --data {data} --out samples")
    if run.weights:
        commands.append(f"evaluate {name} --data {data}")
    if run.rows:
        commands.append(f"plot curves {name} --out curves.png")
    if commands:
        print("\nnext:", *(f"minifold {command}" for command in commands), sep="\n  ")
