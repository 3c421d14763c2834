"""The pictures of a comparison, for its page and for files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from minifold_core.comparison.published import epochs_behind
from minifold_core.comparison.sides import Side
from minifold_core.discovery import VersionPackage
from minifold_core.evaluation.scores import SCORES
from minifold_core.loss_units import units_of
from minifold_core.plots.curve_looks import MOST
from minifold_core.plots.curves import draw_curves
from minifold_core.plots.published import CAPTION, draw_published, published_panels
from minifold_core.plots.sides import NARROW, Effect, Group, draw_forest, draw_noise_bins
from minifold_core.plots.style import PAGE
from minifold_core.runs import RunRecord

if TYPE_CHECKING:
    from minifold_core.comparison.differences import Row
    from minifold_core.comparison.measured import Measured, Pair
    from minifold_core.comparison.quantities import Quantities
    from minifold_core.data.records import Chain

TWO = 2
"""Panels beside each other on a phone."""
CHAINS = 3
"""Chains of which maps are drawn."""
SECTIONS = ("differences", "noise", "samples", "own", "published")
TITLES = {"score": "Samples", "figure": "Figures of merit"}
RELATIVE = {"backbone": "Backbones", "loss": "Validation losses"}
"""Kinds whose quantities share no unit: they are drawn in per cent of the first side's."""


INTERVALS = (
    "Mean over chains of the difference on the same chain from the same noise, with its 95 % "
    "bootstrap interval.",
    "Difference between the means over trainings, with its 95 % interval over seeds (Welch); over "
    "chains where that cannot be told.",
)
"""What the intervals are, without enough seeds and with them."""


class Drawing(NamedTuple):
    """A picture of a comparison.

    Attributes:
        name: of letters, digits and hyphens; names its file.
        section: of the page, one of :data:`SECTIONS`.
        title: what it shows.
        caption: what has to be known to read it.
        wide: for paper and screens.
        narrow: the same for phones; None where it is the same.
    """

    name: str
    section: str
    title: str
    caption: str
    wide: Figure
    narrow: Figure | None = None


def drawings(sides: Sequence[Side], measured: Measured | None) -> list[Drawing]:
    """Every picture that the sides, and what was measured of them, give."""
    return [*_recorded(sides), *(_measured(measured) if measured else ())]


def _recorded(sides: Sequence[Side]) -> Iterator[Drawing]:
    packages: dict[str, VersionPackage] = {s.package.id: s.package for s in sides if s.package}
    if panels := published_panels(shown := list(packages.values())):
        behind = epochs_behind(sorted({name for lines in panels.values() for name in lines}))
        yield Drawing(
            "published",
            "published",
            f"Published losses and scores of {', '.join(packages)} by epoch",
            f"{CAPTION} Totals are sums of different terms and weights wherever the recipes differ "
            "in them.",
            draw_published(shown, behind=behind),
            draw_published(shown, TWO, behind),
        )
    trained = {side.label: runs for side in sides if (runs := _runs(side))}
    trained = dict(list(trained.items())[:MOST])
    if runs := [run for each in trained.values() for run in each]:
        labels = [label for label, each in trained.items() for _ in each]
        yield Drawing(
            "curves",
            "own",
            "Losses, scores, learning rates and gradient norms of the runs by epoch",
            "Thin: training. Bold: validation. A dot marks the epoch with the best total. Grey: as "
            "published, at full size. All runs of a side have one colour.",
            draw_curves(runs, sides=labels),
            draw_curves(runs, columns=TWO, sides=labels),
        )


def _runs(side: Side) -> list[RunRecord]:
    found = (member.run for member in side.members)
    return [run for run in found if run is not None and run.series("train/total")]


def _measured(measured: Measured) -> Iterator[Drawing]:
    for number, pair in enumerate(measured.pairs, 1):
        if groups := _groups(pair):
            yield Drawing(
                f"differences-{number}",
                "differences",
                f"{pair.other} minus {pair.first}, with 95 % intervals",
                f"{INTERVALS[any(row.over == 'seeds' for row in pair.rows)]} An interval that "
                "leaves out 0 is coloured.",
                draw_forest(groups, PAGE),
                draw_forest(groups, NARROW),
            )
    if losses := _bins(measured):
        scales = {side.recipe.coordinates.scale for side in measured.sides}
        units = units_of(losses, scales)
        yield Drawing(
            "noise-levels",
            "noise",
            "Validation losses by noise level",
            "Each point stands for a quarter of the noise levels, on the same chains with the "
            "same noise for all sides.",
            draw_noise_bins(losses, units),
            draw_noise_bins(losses, units, TWO),
        )
    yield from _structures(measured)


def _groups(pair: Pair) -> list[Group]:
    rows = [row for row in pair.rows if not row.levels and row.decides.interval]
    step = f"{pair.other} − {pair.first}"
    groups: dict[tuple[str, str], list[Effect]] = {}
    for row in rows:
        if row.kind in RELATIVE:
            if row.first > 0:
                where = (RELATIVE[row.kind], f"{step}, per cent of {pair.first}")
                groups.setdefault(where, []).append(_effect(row, 100 / row.first))
        else:
            unit = SCORES[row.name].unit if row.kind == "score" else ""
            title = TITLES[row.kind]
            where = (f"{title}, {unit}", f"{step} ({unit})") if unit else (title, step)
            groups.setdefault(where, []).append(_effect(row))
    return [Group(*where, effects) for where, effects in groups.items()]


def _effect(row: Row, scale: float = 1.0) -> Effect:
    assert row.decides.interval is not None
    low, high = row.decides.interval
    return Effect(row.plain, scale * row.decides.mean, scale * low, scale * high, row.says)


def _bins(measured: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """Loss to side to bin to mean over chains, of sides in which the loss means the same."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for pair in measured.pairs:
        for row in pair.rows:
            if row.kind == "loss" and row.levels:
                sides = found.setdefault(row.name, {})
                sides.setdefault(pair.first, {}).setdefault(row.levels, row.first)
                sides.setdefault(pair.other, {})[row.levels] = row.other
    return found


def _structures(measured: Measured) -> Iterator[Drawing]:
    """Angles and distances of the first sample of every chain, beside the native ones."""
    from minifold_core.plots.distances import draw_distances
    from minifold_core.plots.ramachandran import (
        AngleSet,
        Structure,
        draw_ramachandran,
        native_structures,
    )
    from minifold_core.plots.sampled import Sampled

    sets, names = {}, {side.label: first_training(side) for side in measured.sides}
    for side in measured.sides:
        if side.samples is not None:
            backbones = side.samples.backbones
            first = {
                name: Structure(trace[0], backbones[name][0] if backbones else None)
                for name, trace in side.samples.traces.items()
            }
            sets[side.label] = AngleSet.of(side.label, measured.chains, first)
    native = AngleSet.of("native", measured.chains, native_structures(measured.chains))
    for number, pair in enumerate(measured.pairs, 1):
        if pair.first in sets and pair.other in sets:
            yield Drawing(
                f"ramachandran-{number}",
                "samples",
                f"Angles along native chains, and samples of {pair.first} and {pair.other}",
                "JSD: Jensen-Shannon divergence from the native chains, 0 for equal "
                "distributions. φ and ψ are shown where both models place backbones. Of each chain "
                f"one sample, the first of {names[pair.first]} and of {names[pair.other]}.",
                draw_ramachandran([native, sets[pair.first], sets[pair.other]]),
            )
    chains = shown_chains(measured.chains, CHAINS)
    for number, side in enumerate(measured.sides, 1):
        if side.samples is not None:
            traces = side.samples.traces
            yield Drawing(
                f"distances-{number}",
                "samples",
                f"Distances and contacts of native chains, and of samples of {side.label}",
                f"Of each chain the first sample of {names[side.label]}, never the best.",
                draw_distances([Sampled.of(chain, traces[chain.name][0]) for chain in chains]),
                draw_distances([Sampled.of(chain, traces[chain.name][0]) for chain in chains], 1),
            )


def first_training(side: Quantities) -> str:
    """The training of a side whose samples are shown: the side itself if it has but one."""
    name = Path(side.trained[0].name).name
    return side.label if len(side.trained) == 1 else f"{name} (one of {side.label})"


def shown_chains(chains: Sequence[Chain], count: int) -> list[Chain]:
    """A choice that nobody can tune, of chains with a known Cα."""
    from minifold_core.plots.selection import choose

    return choose([chain for chain in chains if chain.ca_mask.any()], count)
