"""A figure of samples beside the same figure of natural chains, and what those differ by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minifold_core.evaluation.generation.angles import jensen_shannon
from minifold_core.evaluation.generation.matching import Draw, Rows
from minifold_core.evaluation.paired import paired_interval

Floats = NDArray[np.float64]
Statistic = Callable[[Rows], float]
"""From rows of a set to a number."""

RANGE = (0.025, 0.975)
FEWEST = 10
"""Structures in a set below which nothing is said: natural chains differ too much."""
TOO_FEW, ABOVE, BELOW, WITHIN = "too few", "above", "below", "natural"
BOUNDS = {
    "rg_z": (-np.inf, np.inf),
    "rg_abs_z": (0.0, np.inf),
    "clashes": (0.0, np.inf),
}
"""Between what a figure lies, if not between 0 and 1."""


@dataclass(frozen=True)
class Figure:
    """One figure, in the mean over the draws.

    Attributes:
        name: such as ``helix``.
        n: structures in each of the sets that are compared; 0 where there is nothing to compare.
        samples: of samples; where it is a divergence, theirs from natural chains.
        natural: of natural chains; where it is a divergence, theirs from other natural chains; NaN
            where ``n`` is 0.
        noise: 95 % range of what natural chains give against others, centred where ``natural``
            is; None where the sets are smaller than ten.
        interval: 95 % bootstrap interval of ``samples`` where it is a mean over structures: one
            odd structure among them makes it wide, and few natural chains show no such thing.
    """

    name: str
    n: int
    samples: float
    natural: float
    noise: tuple[float, float] | None
    interval: tuple[float, float] | None = None

    @property
    def verdict(self) -> str:
        """Whether samples lie where two sets of natural chains of that size would.

        Beyond that range they are called above or below only if the whole interval of the samples
        lies on that side of the natural figure.
        """
        if self.noise is None:
            return TOO_FEW
        (low, high), (least, most) = self.noise, self.interval or (self.samples, self.samples)
        if self.samples > high and least > self.natural:
            return ABOVE
        return BELOW if self.samples < low and most < self.natural else WITHIN

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "n": self.n,
            "samples": self.samples,
            "natural": self.natural,
            "natural_range_95": self.noise and list(self.noise),
            "samples_interval_95": self.interval and list(self.interval),
            "verdict": self.verdict,
        }


def mean_figure(name: str, samples: Floats, natural: Floats, draws: Sequence[Draw]) -> Figure:
    """The mean of a value [N] of every structure; one with NaN counts nowhere."""
    known = [
        [int(np.isfinite(samples[draw.samples]).sum())]
        + [int(np.isfinite(natural[rows]).sum()) for rows in (draw.first, draw.second)]
        for draw in draws
    ]
    n = int(np.median([min(counts) for counts in known])) if draws else 0
    figure = statistic_figure(name, mean_of(samples), mean_of(natural), draws, len(samples), n)
    if figure.noise is None:
        return figure
    values = samples[np.unique(np.concatenate([draw.samples for draw in draws]))]
    return replace(figure, interval=paired_interval(values[np.isfinite(values)]))


def statistic_figure(
    name: str,
    samples: Statistic,
    natural: Statistic,
    draws: Sequence[Draw],
    count: int,
    n: int,
) -> Figure:
    """Any number that a set has: that of samples beside those of two natural sets.

    Args:
        name: of the figure.
        samples: the number from rows of samples.
        natural: the number from rows of natural chains.
        draws: what is compared with what.
        count: how many samples there are, for where there is no draw.
        n: structures that it is over.
    """
    if not draws:
        return _figure(name, n, [samples(np.arange(count))], [], [])
    ours = [samples(draw.samples) for draw in draws]
    first = np.array([natural(draw.first) for draw in draws])
    second = np.array([natural(draw.second) for draw in draws])
    known = second[np.isfinite(second)]
    centre = known.mean() if len(known) else np.nan
    return _figure(name, n, ours, second, centre + first - second)


def divergence_figure(name: str, samples: Floats, natural: Floats, draws: Sequence[Draw]) -> Figure:
    """The Jensen-Shannon divergence of summed histograms [N, ...] from those of natural chains."""
    ours, theirs = [], []
    for draw in draws:
        other = natural[draw.second].sum(0)
        ours.append(jensen_shannon(samples[draw.samples].sum(0), other))
        theirs.append(jensen_shannon(natural[draw.first].sum(0), other))
    n = int(np.median([len(draw.samples) for draw in draws])) if draws else 0
    figure = _figure(name, n, ours, theirs, theirs)
    return replace(figure, noise=figure.noise and (0.0, figure.noise[1]))  # none is too near


def mean_of(values: Floats) -> Statistic:
    """The mean over rows of the values [N] that are known; NaN without any."""

    def mean(rows: Rows) -> float:
        known = values[rows][np.isfinite(values[rows])]
        return float(known.mean()) if len(known) else float("nan")

    return mean


def _figure(name: str, n: int, samples: ArrayLike, natural: ArrayLike, noise: ArrayLike) -> Figure:
    ours, theirs, differences = (np.asarray(x, np.float64) for x in (samples, natural, noise))
    known = differences[np.isfinite(differences)]
    span = None
    if n >= FEWEST and len(known) and np.isfinite(ours).any():
        low, high = np.clip(np.quantile(known, RANGE), *BOUNDS.get(name, (0.0, 1.0)))
        span = float(low), float(high)
    return Figure(name, n, _mean(ours), _mean(theirs) if n else float("nan"), span)


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
