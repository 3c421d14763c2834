"""A run as a page: what it was made of, how it learned, and how its samples scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minifold_core.errors import MinifoldError, RequestError
from minifold_core.evaluation.scores import SCORES
from minifold_core.plots.curves import draw_bins, draw_curves
from minifold_core.report.figures import Picture
from minifold_core.report.page import write_page
from minifold_core.run_facts import RunFacts, description, sampled_scores, why_ended
from minifold_core.runs import RunRecord
from minifold_core.weights.header import read_header
from minifold_core.weights.layout import read_layout
from minifold_core.weights.structure import slot_of

SCHEMA = 1
NARROW = 2
"""Panels beside each other on a phone."""


def run_data(run: RunRecord, facts: RunFacts) -> dict[str, Any]:
    """What the page of a run shows: ``runs show --json``, and its parts, scores and cost."""
    found = sampled_scores(run)
    seconds = [row["seconds"] for row in run.rows if "seconds" in row]
    return {
        "schema": SCHEMA,
        **description(run, facts),
        "ended": why_ended(run),
        "parts": (parts := _parts(run)),
        "parameters": sum(part["parameters"] for part in parts.values()) or None,
        "losses": _losses(run),
        "schedule": dict(run.section("training")),
        "samples": {"epoch": found[0], "scores": found[1]} if found else None,
        "cost": {"seconds": sum(seconds), "per_epoch": sum(seconds) / len(seconds)}
        if seconds
        else None,
    }


def write_run(run: RunRecord, data: dict[str, Any], path: Path) -> None:
    """Write the page of a run.

    Args:
        run: the run.
        data: from :func:`run_data`, all numbers finite.
        path: the file.

    Raises:
        MinifoldError: the file cannot be written.
    """
    columns = list(dict.fromkeys(name for row in run.rows for name in row))
    write_page(
        "run.html",
        data,
        path,
        name=run.directory.resolve().name,
        pictures=_pictures(run),
        scores=_shown_scores(data),
        columns=_columns(columns),
    )


def _parts(run: RunRecord) -> dict[str, dict[str, Any]]:
    """Slot to component and parameters of the run's weights, if they can be read."""
    try:
        path = run.directory / run.weights[0]
        components, tensors = read_header(path).components, read_layout(path).tensors
    except (MinifoldError, IndexError):
        return {}
    parts: dict[str, dict[str, Any]] = {}
    for name, info in tensors.items():
        slot = slot_of(name)
        part = parts.setdefault(
            slot, {"component": _component(components.get(slot)), "parameters": 0}
        )
        part["parameters"] += math.prod(info.shape)
    return parts


def _component(text: str | None) -> str:
    """Name and version of a component, such as ``axial/1``, in words."""
    name, _, version = (text or "").partition("/")
    return f"{name}, version {version}" if version else name


def _losses(run: RunRecord) -> dict[str, Any]:
    """Loss to its weight, a number or a ramp, as the run's recipe has it."""
    tables = run.section("losses").items()
    return {name: table["weight"] for name, table in tables if "weight" in table}


def _shown_scores(data: dict[str, Any]) -> Sequence[Any]:
    """The scores that any row of samples and floors has."""
    rows = data["samples"]["scores"].values() if data["samples"] else ()
    return [facts for name, facts in SCORES.items() if any(name in row for row in rows)]


def _columns(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Heading to column and format of the table of epochs."""
    shown = {"epoch": ("epoch", "count"), "step": ("step", "count")}
    for part in ("train", "val"):
        if f"{part}/total_fixed" in names:
            shown[f"{part} total"] = (f"{part}/total_fixed", "fixed3")
    for name in names:
        part, _, term = name.partition("/")
        if part == "val" and "@" not in name and not term.startswith("total"):
            shown[term] = (name, "fixed3")
    if "sampled/tm" in names:
        shown["sampled TM-score"] = ("sampled/tm", "fixed3")
    return shown | ({"seconds": ("seconds", "fixed1")} if "seconds" in names else {})


def _pictures(run: RunRecord) -> list[Picture]:
    if not run.series("train/total"):
        return []
    found = [
        Picture.of(
            "curves",
            "Losses, scores, learning rates and gradient norms by epoch",
            "Thin: training. Bold: validation. A dot marks the epoch with the best total. Grey: "
            "what was published of the version at full size, as far as this run goes; smaller "
            "models on other data do not compare.",
            draw_curves([run]),
            draw_curves([run], columns=NARROW),
        )
    ]
    try:
        bins = draw_bins([run]), draw_bins([run], columns=NARROW)
    except RequestError:  # a model that denoises nothing has no noise levels
        return found
    caption = "Validation at fixed noise. A mean over all levels hides the fold: it is decided at "
    caption += "high noise, where little is left of the native structure."
    return [*found, Picture.of("bins", "Validation losses by noise level", caption, *bins)]
