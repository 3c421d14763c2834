"""Tables with a column for each side of a comparison, in as many blocks as the terminal takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from minifold_core.cli.output import table

WIDE = 1000
"""Columns in which every table can be drawn without a break."""


@dataclass
class Grid:
    """Named rows of cells, one for each side.

    Attributes:
        heading: of the column of names.
        labels: of the sides.
        rows: names and cells; a cell may have several lines.
    """

    heading: str
    labels: Sequence[str]
    rows: list[tuple[str, Sequence[str]]] = field(default_factory=list)

    def fits(self, console: Console) -> bool:
        """Whether the whole grid can be printed without breaking a cell."""
        return self._fits(range(len(self.labels)), console)

    def blocks(self, console: Console) -> Iterator[Table]:
        """The grid, as many sides beside each other as fit, one at least."""
        left = list(range(len(self.labels)))
        while left:
            taken = left[:1]
            while len(taken) < len(left) and self._fits(left[: len(taken) + 1], console):
                taken = left[: len(taken) + 1]
            yield self._table(taken)
            left = left[len(taken) :]

    def _fits(self, sides: Sequence[int], console: Console) -> bool:
        unbounded = console.options.update(max_width=WIDE)
        needed = console.measure(self._table(sides), options=unbounded).maximum
        return needed <= console.width

    def _table(self, sides: Sequence[int]) -> Table:
        made = table(self.heading, *(self.labels[side] for side in sides))
        for name, cells in self.rows:
            made.add_row(name, *(cells[side] for side in sides))
        return made


def fitting(
    console: Console, draw: Callable[[int], Sequence[Grid]], details: int
) -> list[list[Table]]:
    """Grids in the most detail with which they fit; a list of blocks for each.

    Args:
        console: the terminal.
        draw: the grids, in more or less detail; always as many.
        details: the most detail; 0 is the least. The most is only taken if all grids fit with it,
            what lies between for each grid by itself. What fits in no detail is broken into blocks.
    """
    full = draw(details)
    if all(grid.fits(console) for grid in full):
        return [list(grid.blocks(console)) for grid in full]
    levels = [draw(detail) for detail in range(details - 1, -1, -1)]
    return [
        list(next((each for each in one if each.fits(console)), one[0]).blocks(console))
        for one in zip(*levels, strict=True)
    ]
