"""How the lines of training curves look, and what their legend says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from matplotlib.lines import Line2D

from minifold_core.plots.curve_data import TOTAL, Line, Section
from minifold_core.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    PURPLE,
    TEXT,
    VERMILION,
    sequential,
)
from minifold_core.runs import RunRecord

COLOURS = (BLUE, VERMILION, GREEN, PURPLE)
DASHES = ("solid", "dashed", "dotted", "dashdot")
WIDE, BOLD, THIN = 2.4, 1.2, 0.6
MOST = len(COLOURS)
"""Runs, or sides of several runs, in one picture."""
LONGEST = 40
"""Letters of a name in the legend."""


class Looks(ABC):
    """Looks of lines.

    Attributes:
        places: of each run, whose look it has.
    """

    places: Sequence[int]

    @abstractmethod
    def colour(self, run: int) -> str:
        """Of a run's marks."""

    @abstractmethod
    def of(self, line: Line, names: list[str]) -> dict[str, Any]:
        """How a line is drawn, given the names of all lines of its section."""

    @abstractmethod
    def keys(self, parts: Sequence[Section]) -> list[Line2D]:
        """The legend."""


class LooksByRun(Looks):
    """A colour for each run, or for all runs of one side.

    Args:
        runs: in the order of their colours.
        sides: of each run the side that it belongs to; default: each is one by itself.
    """

    def __init__(self, runs: Sequence[RunRecord], sides: Sequence[str] = ()) -> None:
        names = list(dict.fromkeys(sides))
        self.places = [names.index(side) for side in sides] or list(range(len(runs)))
        counted = {name: sum(side == name for side in sides) for name in names}
        self.names = [
            f"{name}: {count} runs" if count > 1 else name for name, count in counted.items()
        ] or [_name(run) for run in runs]

    def colour(self, run: int) -> str:
        """That of its lines."""
        return COLOURS[self.places[run]]

    def of(self, line: Line, names: list[str]) -> dict[str, Any]:
        """Bold for validation, thin for training, grey for what is not the run's."""
        place = self.places[line.run]
        if line.kind == "published":
            return {"color": FAINT, "lw": 2.2, "ls": DASHES[place], "zorder": 1}
        if line.kind == "floor":
            dashes = DASHES[1 + names.index(line.name) % (len(DASHES) - 1)]
            return {"color": GREY, "lw": 0.9, "ls": dashes, "zorder": 1.5}
        width = BOLD if line.kind == "validation" else THIN
        return {"color": COLOURS[place], "lw": width, "ls": DASHES[place]}

    def keys(self, parts: Sequence[Section]) -> list[Line2D]:
        """Runs, then what else is drawn."""
        keys = [
            Line2D([], [], color=colour, lw=BOLD, ls=dashes, label=name)
            for name, colour, dashes in zip(self.names, COLOURS, DASHES, strict=False)
        ]
        found: dict[str, Line2D] = {}
        for part in parts:
            names = names_of(part)
            for line in (line for panel in part.panels for line in panel.lines):
                style = self.of(line, names)
                if line.kind in ("training", "validation"):
                    style |= {"color": TEXT, "ls": "solid"}
                label: str = line.kind
                if line.kind == "published":
                    label = f"{line.name} as published, at full size"
                elif line.name:
                    label = f"{line.kind}: {line.name}"
                found.setdefault(label, Line2D([], [], label=label, **style))
        if any(panel.title == TOTAL for part in parts for panel in part.panels):
            found["best"] = Line2D([], [], color=TEXT, ls="", marker="o", ms=3, label="best epoch")
        return keys + list(found.values())


class LooksByBin(Looks):
    """A shade for each bin of noise levels, the darker the noisier; dashes tell runs apart."""

    def __init__(self, runs: Sequence[RunRecord]) -> None:
        self.runs, self.places = runs, range(len(runs))

    def colour(self, run: int) -> str:
        """Black: no mark stands for a bin."""
        return TEXT

    def of(self, line: Line, names: list[str]) -> dict[str, Any]:
        """The shade of its bin."""
        shade = 0.35 + 0.65 * names.index(line.name) / max(len(names) - 1, 1)
        width = WIDE if line.run else BOLD  # later runs are seen on equal lines of the first
        return {"color": sequential()(shade), "lw": width, "ls": DASHES[line.run]}

    def keys(self, parts: Sequence[Section]) -> list[Line2D]:
        """Runs, then bins."""
        names, keys = [name for part in parts for name in names_of(part)], []
        for number, run in enumerate(self.runs):
            look = self.of(Line(number, "validation", {}, names[0]), names) | {"color": TEXT}
            keys.append(Line2D([], [], label=_name(run), **look))
        for name in names:
            look = self.of(Line(0, "validation", {}, name), names)
            keys.append(Line2D([], [], label=f"t {name.replace('-', '–')}", **look))
        return keys


def names_of(part: Section) -> list[str]:
    """What tells the floors and noise levels of a section apart."""
    return list(dict.fromkeys(line.name for panel in part.panels for line in panel.lines))


def _name(run: RunRecord) -> str:
    """The run's directory, version and size, cut at its beginning."""
    name = f"{run.directory.resolve().name}: {run.meta.id} {run.meta.size}"
    return name if len(name) <= LONGEST else f"…{name[-LONGEST + 1 :]}"
