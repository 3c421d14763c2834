"""What several trainings a side allow to say of training, rather than of the weights at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from minifold_core.evaluation.paired import Interval, sign_of, text_of

FEWEST_SEEDS = 3
"""A side: from two, a standard deviation is hardly known."""


@dataclass(frozen=True)
class TrainingDifference:
    """The mean score of one recipe's trainings minus another's.

    Attributes:
        seeds: trainings of the first side and of the other.
        mean: the other's mean minus the first's.
        interval: 95 % by Welch's t (:func:`welch_interval`); None where all trainings of both
            sides score the same to the last digit, which nothing can be estimated from.
    """

    seeds: tuple[int, int]
    mean: float
    interval: Interval | None

    @classmethod
    def of(cls, first: Sequence[float], other: Sequence[float]) -> TrainingDifference | None:
        """From one score of each training; None with fewer than three a side, or undefined ones."""
        if min(len(first), len(other)) < FEWEST_SEEDS or np.isnan([*first, *other]).any():
            return None
        mean = float(np.mean(other) - np.mean(first))
        return cls((len(first), len(other)), mean, welch_interval(first, other))

    @property
    def sign(self) -> int:
        """1 or -1 where the interval leaves out 0, else 0: nothing can be said."""
        return sign_of(self.interval)

    def text(self, digits: int = 3) -> str:
        """Such as ``+0.012 (-0.004, +0.028)``; without the interval where there is none."""
        return text_of(self.mean, self.interval, digits)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "seeds": list(self.seeds),
            "difference": self.mean,
            "interval_95": self.interval and list(self.interval),
        }


def welch_interval(first: Sequence[float], other: Sequence[float]) -> Interval | None:
    """95 % interval of mean(other) - mean(first), of samples whose variances may differ.

    ``d ± t(0.975, ν) sqrt(s1²/n1 + s2²/n2)`` with the degrees of freedom of Welch (1947,
    Biometrika 34) and Satterthwaite: ``ν = (v1 + v2)² / (v1²/(n1 - 1) + v2²/(n2 - 1))`` where
    ``v = s²/n``. None if neither sample varies.
    """
    samples = [np.asarray(each, np.float64) for each in (first, other)]
    v1, v2 = (float(each.var(ddof=1)) / len(each) for each in samples)
    if v1 + v2 == 0:
        return None
    freedom = (v1 + v2) ** 2 / (v1**2 / (len(first) - 1) + v2**2 / (len(other) - 1))
    mean = float(samples[1].mean() - samples[0].mean())
    half = t_quantile(freedom) * sqrt(v1 + v2)
    return mean - half, mean + half


def t_quantile(freedom: float, inside: float = 0.95) -> float:
    """The t within which Student's distribution has a share ``inside``, both signs together.

    With ``t = sqrt(ν) tan θ`` the density becomes ``cos(θ)^(ν-1)`` on a finite interval, which is
    summed by the trapezoidal rule: right to six digits for ν from 1 to 1000.
    """
    theta = np.linspace(0, np.pi / 2, 200_001)
    density = np.cos(theta) ** (freedom - 1)
    mass = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return float(sqrt(freedom) * np.tan(np.interp(inside, mass / mass[-1], theta)))
