"""What ``minifold compare`` prints of measurements: the verdict first, then tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.table import Table
from torch import get_num_threads

from minifold_core.cli.comparison_tables import NONE, paragraph
from minifold_core.cli.output import table
from minifold_core.comparison.common import TOTAL

if TYPE_CHECKING:
    from minifold_core.comparison.cost import Cost, Spread
    from minifold_core.comparison.differences import Row
    from minifold_core.comparison.measured import Measured, Pair

SAYS = {"no difference shown": NONE, "too few chains": "too few"}
HEADINGS = {
    "score": "samples",
    "backbone": "backbones",
    "figure": "figures of merit",
    "loss": "validation",
}


def print_measured(measured: Measured) -> None:
    """Print the verdict on every pair, their differences, what it cost, and what to know."""
    console = Console(highlight=False, markup=False)
    for made in _measured(measured):
        console.print(paragraph(made, console.width) if isinstance(made, str) else made)


def _measured(measured: Measured) -> Iterator[RenderableType]:
    on = f"{len(measured.chains)} chains ({measured.plan.data})"
    each = f", samples of each: {measured.plan.count}" if measured.bench else ""
    yield f"measured on {on}{each}, on {measured.plan.device}, threads: {get_num_threads()}"
    for pair in measured.pairs:
        yield f"{pair.other} beside {pair.first}: {pair.verdict}"
    for pair in measured.pairs:
        yield from _pair(pair)
    if measured.plan.cost:
        yield _costs(measured.cost)
        yield from _cost_words(measured.cost, measured.plan.cost.rounds)
    yield from measured.notes


def _pair(pair: Pair) -> Iterator[RenderableType]:
    """A table for each kind of quantity; of single noise levels the weighted sum alone."""
    seeds = any(row.over == "seeds" for row in pair.rows)
    for kind, heading in HEADINGS.items():
        own = [row for row in pair.rows if row.kind == kind]
        shown = [row for row in own if row.difference.n and (not row.levels or row.name == TOTAL)]
        if shown:
            yield _rows(heading, pair, shown, "seeds" if seeds else "chains")
    by_reason: dict[str, list[str]] = {}
    for name, why in pair.left_out.items():
        by_reason.setdefault(why, []).append(name)
    for why, names in by_reason.items():
        yield f"not compared: {', '.join(names)}: {why}"


def _rows(heading: str, pair: Pair, rows: Sequence[Row], over: str) -> Table:
    """The interval that decides in each row; over what, where it is not that of the heading."""
    sides = (pair.first, pair.other)
    made = table(heading, *sides, f"difference (95 % over {over})", "", numbers=sides)
    made.columns[3].no_wrap = True  # rather break a label than an interval
    for row in rows:
        name = f"  at {row.levels.replace('t', 't ', 1)}" if row.levels else row.label
        means = (f"{mean:.{row.digits}f}" for mean in (row.first, row.other))
        says = SAYS.get(row.says, row.says)
        if row.over != over and row.difference.interval:
            says += f", over {row.over}"
        made.add_row(name, *means, row.decides.text(row.digits), says)
    return made


def _costs(costs: Sequence[Cost]) -> Table:
    """All sides of one work together; medians, with quartiles in brackets."""
    numbers = ("GFLOPs", "memory")
    made = table("cost", "seconds (quartiles)", "ratio (quartiles)", *numbers, numbers=numbers)
    for work, of_work in _by_work(costs).items():
        made.add_row(work)
        for number, cost in enumerate(of_work):
            peak = NONE if cost.peak_bytes is None else f"{cost.peak_bytes / 1e6:,.0f} MB"
            ratio = _spread(cost.ratio) if cost.ratio and number else NONE
            figures = (_spread(cost.seconds), ratio, f"{cost.flops / 1e9:,.1f}", peak)
            made.add_row(f"  {cost.label}", *figures)
    return made


def _cost_words(costs: Sequence[Cost], rounds: int) -> Iterator[str]:
    """What the works are, and what the figures mean."""
    for work, of_work in _by_work(costs).items():
        sizes: dict[str, list[str]] = {}
        for cost in of_work:
            sizes.setdefault(cost.about, []).append(cost.label)
        each = (about + f" ({', '.join(own)})" * (len(sizes) > 1) for about, own in sizes.items())
        yield f"{work}: {'; '.join(each)}"
    yield (
        f"Medians of {rounds} turns; the ratio is the median of the turns' own ratios, which load "
        "on the machine changes less than the seconds. Memory: tensors at the fullest moment, "
        "weights and optimizer included."
    )


def _by_work(costs: Sequence[Cost]) -> dict[str, list[Cost]]:
    works: dict[str, list[Cost]] = {}
    for cost in costs:
        works.setdefault(cost.work, []).append(cost)
    return works


def _spread(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f}–{spread.high:.2f})"
