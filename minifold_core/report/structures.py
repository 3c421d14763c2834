"""What the 3-D view of a page shows: native chains, and samples superposed on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.plots.curve_looks import COLOURS
from minifold_core.plots.sampled import Floats, Sampled
from minifold_core.plots.style import TEXT
from minifold_core.report.figures import dark

NATIVE = "native"
PALE = "#e4e7ea"
"""The ink of a page in the dark."""
DIGITS = 2
"""Of a coordinate in ångström."""


def superposed(chain: Chain, samples: Mapping[str, Tensor]) -> dict[str, Any]:
    """One native chain and its samples for the 3-D view.

    Args:
        chain: the native chain.
        samples: label to [L, 3] Cα in ångström; one to four, the same labels for every chain of a
            page.

    Returns:
        ``name``; ``residues``, their numbers from 1, of those with a known Cα; and ``traces``, the
        native one first: label, colours for light and dark, ``ca`` [n, 3] in ångström where the
        sample scores its TM-score, and for samples ``tm`` and ``lddt``.

    Raises:
        RequestError: the chain has no known Cα, or there are too many samples.
        MinifoldError: a sample has a coordinate that is not finite.
    """
    if len(samples) > len(COLOURS):
        raise RequestError(f"{len(samples)} samples are too many to show; {len(COLOURS)} at most")
    placed = {label: Sampled.of(chain, sample) for label, sample in samples.items()}
    first = next(iter(placed.values()))
    traces = [{"label": NATIVE, **_trace(first.truth, TEXT)}]
    for (label, each), colour in zip(placed.items(), COLOURS, strict=False):
        traces.append(
            {"label": label, **_trace(each.sample, colour), "tm": each.tm, "lddt": each.lddt}
        )
    return {
        "name": chain.name,
        "residues": [int(place) + 1 for place in first.place],
        "traces": traces,
    }


def _trace(ca: Floats, colour: str) -> dict[str, Any]:
    light = colour.lower()
    both = {"light": light, "dark": PALE if colour == TEXT else dark(light)}
    return {"colour": both, "ca": ca.round(DIGITS).tolist()}
