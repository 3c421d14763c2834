"""A comparison as a page: the verdict first, then what differs, what it cost, and sources."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.comparison.figures import shown
from minifold_core.comparison.sides import Side
from minifold_core.evaluation.scores import SCORES
from minifold_core.report.comparison_pictures import SECTIONS, Drawing, first_training, shown_chains
from minifold_core.report.figures import Picture
from minifold_core.report.page import write_page

if TYPE_CHECKING:
    from minifold_core.comparison.measured import Measured

SHOWN = 6
"""Chains in the 3-D view."""
KINDS = {
    "score": "samples",
    "backbone": "backbones",
    "figure": "figures of merit",
    "loss": "validation",
}


def write_comparison(
    data: Mapping[str, Any],
    sides: Sequence[Side],
    measured: Measured | None,
    drawn: Sequence[Drawing],
    path: Path,
) -> None:
    """Write the page of a comparison.

    Args:
        data: what ``compare --json`` prints, all numbers finite.
        sides: what is compared.
        measured: what was measured of them.
        drawn: from :func:`minifold_core.report.comparison_pictures.drawings`.
        path: the file.

    Raises:
        MinifoldError: the file cannot be written.
    """
    pictures: dict[str, list[Picture]] = {section: [] for section in SECTIONS}
    for each in drawn:
        made = Picture.of(each.name, each.title, each.caption, each.wide, each.narrow)
        pictures[each.section].append(made)
    write_page(
        "compare.html",
        data,
        path,
        _structures(measured) if measured else (),
        labels=[side.label for side in sides],
        pictures=pictures,
        kinds=KINDS,
        scores=SCORES,
        floor_scores=_floor_scores(data),
        shown_trainings=[first_training(side) for side in measured.sides] if measured else [],
        seeded=_seeded(data),
        figures=_figures(data["static"]),
        name_of=shown,
        units={row["loss"]: row["unit"] for row in data["static"]["losses"]},
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )


def _structures(measured: Measured) -> list[dict[str, Any]]:
    """The first sample of some chains, of as many sides as there are colours."""
    from minifold_core.plots.curve_looks import COLOURS
    from minifold_core.report.structures import superposed

    samples = {s.label: s.samples for s in measured.sides if s.samples is not None}
    some = dict(list(samples.items())[: len(COLOURS)])
    if not some:
        return []
    return [
        superposed(chain, {label: each.traces[chain.name][0] for label, each in some.items()})
        for chain in shown_chains(measured.chains, SHOWN)
    ]


def _floor_scores(data: Mapping[str, Any]) -> list[str]:
    """The scores in the tables of floors, in their order."""
    reports = [side["report"] for side in (data["measured"] or {"sides": ()})["sides"]]
    rows = [row for report in reports if report for row in report["rows"]]
    return [name for name in SCORES if any(row.get(name) is not None for row in rows)]


def _seeded(data: Mapping[str, Any]) -> list[bool]:
    """Of each pair, whether several trainings a side give its rows an interval over seeds."""
    pairs = (data["measured"] or {"pairs": ()})["pairs"]
    return [any(row["training"] for row in pair["rows"]) for pair in pairs]


def _figures(static: Mapping[str, Any]) -> dict[str, str]:
    """The published figures of all versions, and their units."""
    tables = (each["figures"] for each in static["published"])
    return {figure: own["unit"] for table in tables for figure, own in table.items()}
