"""All pictures that show samples beside their native chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from minifold_core.data.records import Chain
from minifold_core.plots.distances import draw_distances
from minifold_core.plots.errors import draw_errors
from minifold_core.plots.sampled import Sampled
from minifold_core.plots.selection import choose
from minifold_core.plots.style import save
from minifold_core.plots.traces import draw_traces

PICTURES: dict[str, Callable[[Sequence[Sampled]], Figure]] = {
    "distances": draw_distances,
    "errors": draw_errors,
    "traces": draw_traces,
}
SHOWN = 3


def save_pictures(
    directory: Path, chains: Sequence[Chain], samples: Mapping[str, Tensor], about: str
) -> None:
    """Write ``distances.png``, ``errors.png`` and ``traces.png`` of three chains.

    The chains are those that :func:`~minifold_core.plots.selection.choose` takes; of several
    samples the first is shown, never the best.

    Args:
        directory: where to.
        chains: native chains.
        samples: chain name to its sample [L, 3], or samples [N, L, 3], of Cα in ångström.
        about: of which weights and data, for the files' metadata.

    Raises:
        RequestError: a chain has no known Cα.
        MinifoldError: a file cannot be written.
    """
    shown = []
    for chain in choose(chains, SHOWN):
        sample = samples[chain.name]
        shown.append(Sampled.of(chain, sample if sample.ndim == 2 else sample[0]))
    for name, draw in PICTURES.items():
        save(draw(shown), directory / f"{name}.png", f"{name}: {about}")
