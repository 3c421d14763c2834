"""Cα traces of a native chain and of a sample of it, superimposed, from two sides."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize, to_rgba
from matplotlib.figure import Figure

from minifold_core.plots.sampled import Floats, Sampled
from minifold_core.plots.style import (
    GREY,
    PAGE,
    TEXT,
    add_axes,
    add_text,
    new_figure,
    styled,
)

COLUMNS, WIDTH, LEFT, TOP, TITLE = 3, 54.0, 8.0, 15.0, 9.0
ACROSS, BETWEEN, SCALE = 57.0, 3.0, 10.0
"""Millimetres: width of a view, place of the first, height of a chain's title, from chain to chain,
between views, and height of the scale."""
BAR_WIDTH, BAR_HEIGHT, BAR_TOP = 22.0, 2.0, 3.0

VIEWS = ((0, 1, 2), (0, 2, 1))
"""Of each view: the axes drawn to the right and upward, and the one of depth."""
TOWARDS = (1, -1)
"""Whether a view's axis of depth points towards the reader: neither view is a mirror image."""
TWO_VIEWS = "Two views of each superposition: below, it is turned by 90° about the horizontal."
BARS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
"""Ångström that a scale bar may have."""
NATIVE_WIDTH, SAMPLE_WIDTH = 1.0, 1.6
MARGIN = 1.06
"""Size of a view over that of what it shows."""


@styled
def draw_traces(chains: Sequence[Sampled]) -> Figure:
    """A column of two views for each chain, the lower one turned by 90° about the horizontal."""
    pairs = [oriented(each) for each in chains]
    extents = np.array([np.abs(np.concatenate(pair)).max(0) for pair in pairs])
    halves = MARGIN * extents.max(1)  # ångström from the middle of a view to its left and right
    tall = WIDTH * MARGIN * extents / halves[:, None]
    rows = [slice(k, k + COLUMNS) for k in range(0, len(chains), COLUMNS)]
    heights = [[float(tall[row, up].max()) for _, up, _ in VIEWS] for row in rows]
    downs = [TITLE + sum(each) + len(VIEWS) * BETWEEN + SCALE for each in heights]
    figure = new_figure(PAGE, TOP + sum(downs))
    _draw_legend(figure)
    for number, (each, pair, half) in enumerate(zip(chains, pairs, halves, strict=True)):
        row, column = divmod(number, COLUMNS)
        left, top = LEFT + column * ACROSS, TOP + sum(downs[:row])
        add_text(figure, left, top, f"{each.chain.name}\n{each.scores}")
        top += TITLE
        for view, height in enumerate(heights[row]):
            axes = add_axes(figure, left, top, WIDTH, height)
            high = half * height / WIDTH
            axes.set(xlim=(-half, half), ylim=(-high, high))
            axes.set_axis_off()
            _draw_view(axes, each, *pair, view)
            top += height + BETWEEN
        _draw_scale(add_axes(figure, left, top, WIDTH, SCALE), half)
    return figure


def oriented(each: Sampled) -> tuple[Floats, Floats]:
    """[n, 3] native and [n, 3] sampled Cα in ångström along the principal axes of the native ones.

    The middle of the box around all of them is the origin, the native chain's largest extent lies
    along x and its least along z; the axes are right-handed, and the C-terminus lies at larger x
    and y than the N-terminus.
    """
    centred = each.truth - each.truth.mean(0)
    axes = np.linalg.svd(np.vstack([centred, np.zeros((3, 3))]), full_matrices=False)[2]
    forward = (each.truth[-1] - each.truth[0]) @ axes.T
    axes *= np.where(forward < 0, -1, 1)[:, None]
    axes[2] = np.cross(axes[0], axes[1])
    native, sample = each.truth @ axes.T, each.sample @ axes.T
    both = np.concatenate([native, sample])
    middle = (both.min(0) + both.max(0)) / 2
    return native - middle, sample - middle


def n_to_c() -> Colormap:
    """From dark blue over magenta to orange: lightness grows all the way."""
    part = matplotlib.colormaps["plasma"](np.linspace(0, 0.85, 256))
    return LinearSegmentedColormap.from_list("n_to_c", part)


def _draw_view(axes: Axes, each: Sampled, native: Floats, sample: Floats, view: int) -> None:
    """Bonds of both traces, the nearer ones over the farther; none across a missing residue."""
    right, up, depth = VIEWS[view]
    bonded = np.flatnonzero(np.diff(each.place) == 1)
    shades = n_to_c()(bonded / max(len(each) - 2, 1))
    greys = np.tile(to_rgba(GREY), (len(bonded), 1))
    bonds = np.concatenate(
        [np.stack([trace[bonded], trace[bonded + 1]], 1) for trace in (native, sample)]
    )
    order = np.argsort(TOWARDS[view] * bonds[:, :, depth].mean(1), kind="stable")
    widths = np.repeat([NATIVE_WIDTH, SAMPLE_WIDTH], len(bonded))
    axes.add_collection(
        LineCollection(
            list(bonds[order][:, :, [right, up]]),
            colors=np.concatenate([greys, shades])[order],
            linewidths=widths[order],
            capstyle="round",
        )
    )


def _draw_scale(axes: Axes, half: float) -> None:
    """A bar of a round number of ångström, at most a third of the view."""
    length = max((bar for bar in BARS if bar <= 2 * half / 3), default=BARS[0])
    axes.plot([0, length], [0.9, 0.9], color=TEXT, linewidth=1.2, solid_capstyle="butt")
    axes.text(0, 0.75, f"{length} Å", va="top")
    axes.set(xlim=(0, 2 * half), ylim=(0, 1))
    axes.set_axis_off()


def _draw_legend(figure: Figure) -> None:
    native = add_axes(figure, LEFT, BAR_TOP, 6, BAR_HEIGHT)
    native.plot([0, 1], [0.5, 0.5], color=GREY, linewidth=NATIVE_WIDTH)
    native.set_axis_off()
    add_text(figure, LEFT + 8, BAR_TOP - 0.7, "native")
    add_text(figure, LEFT + 26, BAR_TOP - 0.7, "sample, from N")
    bar = add_axes(figure, LEFT + 50, BAR_TOP, BAR_WIDTH, BAR_HEIGHT)
    figure.colorbar(ScalarMappable(Normalize(0, 1), n_to_c()), cax=bar, orientation="horizontal")
    bar.set_xticks([])
    add_text(figure, LEFT + 52 + BAR_WIDTH, BAR_TOP - 0.7, "to C, after the TM superposition")
    add_text(figure, LEFT, BAR_TOP + 4.3, TWO_VIEWS)
