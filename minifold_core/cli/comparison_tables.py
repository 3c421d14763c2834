"""What ``minifold compare`` prints without measuring: what changed in words, then what differs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from minifold_core.cli.grid import Grid, fitting
from minifold_core.cli.published_tables import published_tables, unit_words
from minifold_core.comparison.bests import Best
from minifold_core.comparison.carried import Carried
from minifold_core.comparison.facts import Facts
from minifold_core.comparison.parts import Filling
from minifold_core.comparison.static import StaticComparison
from minifold_core.comparison.story import Story
from minifold_core.recipe_diff import value_text

TEXT = 100
"""Columns of running text at most."""
NONE = "–"
OWN_BEST = "best of its run\n(total, ramps\nat their end)"

Origin = Callable[[str, int], str]
"""An origin, as it is printed behind a value of the side of that number; perhaps empty."""


def print_static(static: StaticComparison) -> None:
    """Print words, sides, parts, values, losses, weights, and published figures."""
    console = Console(highlight=False, markup=False)
    for made in _static(static, console):
        console.print(paragraph(made, console.width) if isinstance(made, str) else made)


def paragraph(text: str, width: int) -> Text:
    """Running text, wrapped; what begins with two blanks stays indented."""
    indent = "    " if text.startswith("  ") else "  "
    filled = textwrap.fill(text, min(width, TEXT), subsequent_indent=indent, break_on_hyphens=False)
    return Text(filled)


def _static(static: StaticComparison, console: Console) -> Iterator[RenderableType]:
    for story in static.stories:
        yield from _words(story)
    yield from _sides(static).blocks(console)
    yield from _unlike_bests(static)
    if static.equal:
        yield "the recipes are equal: every part, value and loss"
    else:
        parts, *others = fitting(
            console, lambda detail: _differences(static, _origins(static, detail)), 2
        )
        if not all(part.equal for part in static.parts):
            yield from parts
        if equal := [part.slot for part in static.parts if part.equal]:
            yield f"alike in all: {', '.join(equal)}"
        for blocks in others:
            yield from blocks
        yield unit_words({loss.loss: loss.unit for loss in static.losses})
    for carried in static.migration:
        yield from _carried(carried)
    yield from published_tables(static)


def _words(story: Story) -> Iterator[str]:
    """The card's paragraph of one version; of several a line each."""
    yield story.relation
    one = len(story.versions) == 1
    for version in story.versions:
        text = version.changed if one and version.changed else version.summary
        if text:
            yield f"  {version.version}: {text}"


def _sides(static: StaticComparison) -> Grid:
    made = Grid("", _labels(static))
    carried = {each.target: f"{each.percent:.1f} % from {each.source}" for each in static.migration}
    bests: dict[str, list[Best]] = {}
    for best in static.bests.rows:
        bests.setdefault(best.label, []).append(best)
    rows: dict[str, Callable[[Facts], str]] = {
        "recipe": lambda side: f"{side.id} ({side.size})",
        "status": lambda side: "" if side.trainings else side.status,
        "parameters": lambda side: f"{side.parameters:,}",
        "trainable": lambda side: f"{side.trainable:,}",
        "published best": lambda side: "" if side.trainings else _bests(side, bests),
        "would carry over": lambda side: carried.get(side.label, ""),
        "weights": _weights,
        OWN_BEST: lambda side: _bests(side, bests) if side.trainings else "",
    }
    for name, cell in rows.items():
        cells = [cell(side) for side in static.sides]
        if any(cells):
            made.rows.append((name, [text or NONE for text in cells]))
    return made


def _bests(side: Facts, bests: Mapping[str, Sequence[Best]]) -> str:
    """Of each training, or of what was published, the best figure and its epoch."""
    told = []
    for best in bests.get(side.label, ()):
        figure = f"{best.figure} " if best.published else ""
        size = "" if best.size == side.size else f", {best.size} size"
        told.append(f"{figure}{best.value:.3f} at epoch {best.epoch}{size}")
    return "\n".join(told)


def _unlike_bests(static: StaticComparison) -> Iterator[str]:
    for unlike in static.bests.incomparable:
        yield f"the bests of {' and '.join(unlike.sides)} cannot be compared: {unlike.why}"


def _weights(side: Facts) -> str:
    """Of each training its epoch and seed, as far as they are known."""
    told = []
    for training in side.trainings:
        words = [f"epoch {training.epoch}"] if training.epoch else []
        words += [f"seed {training.seed}"] if training.seed is not None else []
        words += [training.data] if training.data else []
        told.append(", ".join(words) if training.weights else "none yet")
    return "\n".join(filter(None, told))


def _origins(static: StaticComparison, detail: int) -> Origin:
    """How origins are printed: with 2 in full, with 1 in a word, with 0 not at all."""

    def shown(origin: str, side: int) -> str:
        trained = static.sides[side].trainings
        if not detail or (trained and origin == static.sides[side].origin):
            return ""
        return f" ({origin if detail > 1 else _short(origin)})"

    return shown


def _differences(static: StaticComparison, origin: Origin) -> list[Grid]:
    groups = dict.fromkeys(row.group for row in static.values)
    return [
        _parts(static, origin),
        *(_values(static, group, origin) for group in groups),
        _losses(static, origin),
    ]


def _parts(static: StaticComparison, origin: Origin) -> Grid:
    made = Grid("part", _labels(static))
    for part in static.parts:
        if not part.equal:
            cells = [_filling(filling, n, origin) for n, filling in enumerate(part.sides)]
            made.rows.append((part.slot, cells))
    return made


def _filling(filling: Filling | None, side: int, origin: Origin) -> str:
    if filling is None:
        return NONE
    said = f"{filling.component}{origin(filling.origin, side)}"
    if filling.parameters is None:
        return said
    frozen = ", frozen" if filling.frozen else ""
    return f"{said}\n{filling.parameters:,}{frozen}"


def _values(static: StaticComparison, group: str, origin: Origin) -> Grid:
    made = Grid("settings of parts" if group == "parts" else group, _labels(static))
    for row in static.values:
        if row.group == group:
            cells = [
                f"{value_text(said.value)}{origin(said.origin, n)}" if said else NONE
                for n, said in enumerate(row.sides)
            ]
            made.rows.append((row.key.removeprefix(f"{group}."), cells))
    return made


def _losses(static: StaticComparison, origin: Origin) -> Grid:
    """Equal weights too, without their origins; the others are marked."""
    made = Grid("loss weights", _labels(static))
    for loss in static.losses:
        cells = [
            f"{said.text}{'' if loss.equal else origin(said.origin, n)}" if said else NONE
            for n, said in enumerate(loss.sides)
        ]
        made.rows.append((loss.loss if loss.equal else f"{loss.loss} ≠", cells))
    return made


def _carried(carried: Carried) -> Iterator[str]:
    """What does not carry, and why; nothing where all does."""
    fresh = [row for row in carried.slots if row["verdict"] == "fresh"]
    if not fresh and not carried.refused and not carried.notes:
        return
    yield (
        f"weights {carried.source} → {carried.target}: {carried.parameters:,} parameters would "
        f"carry over, {carried.percent:.1f} % of {carried.target} and "
        f"{carried.percent_of_source:.1f} % of {carried.source}"
    )
    for why, rows in groupby(fresh, lambda row: str(row["why"])):
        slots = ", ".join(dict.fromkeys(row["slot"] for row in rows))
        yield f"  fresh: {slots}: {why}"
    if carried.refused:
        yield "  minifold migrate refuses this without --allow-mismatch"
    yield from (f"  {note}" for note in carried.notes)


def _labels(static: StaticComparison) -> Sequence[str]:
    return [side.label for side in static.sides]


def _short(origin: str) -> str:
    """An origin in a word: the version, the file's name, ``default``, ``preset``, or the flag."""
    for word in ("default", "preset"):
        if f"{word} of " in origin:
            return word
    *above, name = Path(origin).parts
    return above[0] if len(above) == 1 and name == "recipe.toml" else name
