"""A diagnosis of training as one picture: angles, norms, clipping, and where the loss is."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure

from minifold_core.plots.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    PAGE,
    PURPLE,
    TEXT,
    VERMILION,
    add_axes,
    add_text,
    new_figure,
    styled,
)
from minifold_core.training.diagnose_record import TrainingDiagnosis
from minifold_core.training.diagnose_tables import (
    angled_slots,
    angled_terms,
    compared_slots,
    cosine_text,
)

MAPS = 3
"""Heat maps that fit the page, the last of all slots together; the rest is in the tables."""
TOP, GAP, NAMES, RIGHT = 14.0, 4.0, 24.0, 4.0
"""Millimetres above the maps, between them, for names of terms, and at the right edge."""
CELL = 16.0
"""Largest side of a cell in millimetres."""
BETWEEN, LOWER, BOTTOM = 28.0, 40.0, 11.0
"""Millimetres between the rows of panels, of the lower row, and below it."""
COLOURS = (BLUE, VERMILION, GREEN, PURPLE)


@styled
def draw_diagnosis(found: TrainingDiagnosis, about: str) -> Figure:
    """Cosines on the shared slots above; clipping, norms of terms and loss per bin below."""
    angled = angled_slots(found)
    angled = angled[: MAPS - 1] + angled[-1:] if len(angled) > MAPS else angled
    cells = max((len(angled_terms(found, slot)) - 1 for slot in angled), default=0)
    room = (PAGE - NAMES - RIGHT - (MAPS - 1) * GAP) / MAPS
    side = min(room, CELL * cells)
    lower = TOP + (side + BETWEEN if angled else BETWEEN / 2)
    figure = new_figure(PAGE, lower + LOWER + BOTTOM)
    add_text(figure, 2, 2, about, weight="bold")
    for column, slot in enumerate(angled):
        axes = add_axes(figure, NAMES + column * (room + GAP), TOP, side, side)
        _draw_cosines(axes, found, slot, named=column == 0)
    width = (PAGE - 3 * NAMES - RIGHT) / 3
    places = [NAMES + number * (width + NAMES) for number in range(3)]
    _draw_clipping(add_axes(figure, places[0], lower, width, LOWER), found)
    _draw_norms(add_axes(figure, places[1], lower, width, LOWER), found)
    _draw_losses(add_axes(figure, places[2], lower, width, LOWER), found)
    return figure


def diverging() -> Colormap:
    """Vermilion (-1) over white (0) to blue (1); grey where there is no number."""
    made = LinearSegmentedColormap.from_list("cosine", [VERMILION, "white", BLUE])
    return made.with_extremes(bad=FAINT)


def _draw_cosines(axes: Axes, found: TrainingDiagnosis, slot: str, named: bool) -> None:
    own = {each.terms: each.mean for each in found.cosines if each.slot == slot}
    terms = angled_terms(found, slot)
    cells = len(terms) - 1
    grid = np.full((cells, cells), np.nan)
    for row, second in enumerate(terms[1:]):
        for column, first in enumerate(terms[: row + 1]):
            grid[row, column] = own.get((first, second), np.nan)
    hidden = np.ma.masked_array(grid, np.triu(np.ones_like(grid, dtype=bool), 1))
    axes.imshow(hidden.filled(0), cmap=diverging(), vmin=-1, vmax=1)
    size = min(6, 38 / cells)
    for (row, column), value in np.ndenumerate(grid):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.7 else TEXT
            axes.text(
                column,
                row,
                cosine_text(value).replace("-", "−"),
                ha="center",
                va="center",
                size=size,
                color=colour,
            )
    axes.set_title(f"cosine of gradients, {slot}")
    axes.set_xticks(range(cells), terms[:-1], rotation=90)
    axes.set_yticks(range(cells), terms[1:] if named else [])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _draw_clipping(axes: Axes, found: TrainingDiagnosis) -> None:
    """Each slot's share of the gradient, and how much of its own the two ways of clipping keep."""
    one_clip = f"kept by one clip at {found.clip_norm:g}"
    bars = [
        (GREY, "share of squared norm", [slot.share for slot in found.slots]),
        (VERMILION, one_clip, [slot.one_clip_kept for slot in found.slots]),
    ]
    if found.clip_norms:
        kept = [slot.recipe_clip_kept for slot in found.slots]
        bars.append((BLUE, "kept by the recipe's clips", kept))
    places, height = np.arange(len(found.slots)), 0.8 / len(bars)
    for number, (colour, label, values) in enumerate(bars):
        middle = places + height * (number - (len(bars) - 1) / 2)
        axes.barh(middle, values, 0.9 * height, color=colour, label=label)
    axes.set_yticks(places, [slot.slot for slot in found.slots])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    axes.set_xlabel("share, or fraction kept")
    _finish(axes, columns=1)


def _draw_norms(axes: Axes, found: TrainingDiagnosis) -> None:
    """Weighted norm of every term's gradient on the slots that several terms reach."""
    slots = compared_slots(found)
    shared = {norm.term for norm in found.norms if norm.slot in slots}
    terms = [term for term in found.weights if term in shared]
    for colour, slot in zip(COLOURS, slots, strict=False):
        own = [(terms.index(n.term), n.weighted) for n in found.norms if n.slot == slot]
        rows, values = zip(*own, strict=True)
        axes.plot(values, rows, "o", color=colour, markersize=3.5, label=slot)
    axes.set_yticks(range(len(terms)), terms)
    axes.set_ylim(len(terms) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.grid(axis="y", color=FAINT, linewidth=0.4)
    axes.set_xlabel("norm of weighted gradient")
    _finish(axes, columns=2)


def _draw_losses(axes: Axes, found: TrainingDiagnosis) -> None:
    """The weighted terms, stacked, in each noise bin."""
    *terms, total = found.losses
    bins = list(total.bins) or ["all"]
    values = {
        loss.term: np.array([loss.bins[b] if loss.bins else loss.mean for b in bins])
        * found.weights[loss.term]
        for loss in terms
    }
    ordered = sorted(
        (term for term in values if values[term].any()), key=lambda term: -values[term].sum()
    )
    largest, rest = ordered[: len(COLOURS)], ordered[len(COLOURS) :]
    stack = {term: values[term] for term in largest}
    if rest:
        stack["others" if len(rest) > 1 else rest[0]] = np.sum([values[t] for t in rest], 0)
    base = np.zeros(len(bins))
    for colour, (term, heights) in zip((*COLOURS, GREY), stack.items(), strict=False):
        axes.bar(range(len(bins)), heights, 0.7, base, color=colour, label=term)
        base += heights
    edges = [b.removeprefix("t").split("-") for b in total.bins]
    if edges:
        axes.set_xticks(np.arange(len(bins) + 1) - 0.5, [*(e[0] for e in edges), edges[-1][1]])
        axes.set_xlabel("noise level t")
    else:
        axes.set_xticks([])
    axes.set_ylabel("weighted loss")
    _finish(axes, columns=2 if edges else 1)


def _finish(axes: Axes, columns: int) -> None:
    """Open frame, legend above."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2, ncols=columns)
