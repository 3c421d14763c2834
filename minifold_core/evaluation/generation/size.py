"""How the radius of gyration of natural chains grows with their length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST_LENGTHS = 3
"""Different lengths that a law with two parameters and a spread is fitted to."""
ITERATIONS = 100
"""Of reweighted least squares, which approach least absolute deviations."""
SMALLEST = 1e-3
"""Deviation of ln Rg below which it is as good as none."""
TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True)
class SizeLaw:
    """Rg = ``coefficient`` · N^``exponent`` (Flory's form): the line of the median of logarithms.

    Least absolute deviations, because among short natural chains are rods, single helices two or
    three times as long as a globule, that would tilt a line of least squares.

    Attributes:
        coefficient: in ångström.
        exponent: 0.38 in the literature on globular chains of all lengths.
        spread: of ln Rg about the law, 1.48 times the median absolute deviation.
        chains: how many it was fitted to.
        shortest: length of the shortest of them.
        longest: and of the longest; beyond these the law is extrapolated.
    """

    coefficient: float
    exponent: float
    spread: float
    chains: int
    shortest: int
    longest: int

    @classmethod
    def fit(cls, lengths: ArrayLike, rg: ArrayLike) -> SizeLaw | None:
        """The law of natural chains, or None for fewer than three different lengths."""
        n, radii = np.asarray(lengths), np.asarray(rg, np.float64)
        if len(np.unique(n)) < FEWEST_LENGTHS:
            return None
        x, y = np.log(n), np.log(radii)
        residual = np.ones_like(y)
        for _ in range(ITERATIONS):
            weights = np.maximum(np.abs(residual), SMALLEST) ** -0.5
            exponent, offset = np.polyfit(x, y, 1, w=weights)
            residual = y - offset - exponent * x
        spread = max(SMALLEST, TO_SIGMA * float(np.median(np.abs(residual))))
        ends = int(n.min()), int(n.max())
        return cls(float(np.exp(offset)), float(exponent), spread, len(x), *ends)

    def __str__(self) -> str:
        return (
            f"Rg = {self.coefficient:.2f} Å · N^{self.exponent:.3f} fits {self.chains} natural "
            f"chains of {self.shortest}-{self.longest} residues (spread of ln Rg "
            f"{self.spread:.2f}; literature 2.2 Å · N^0.38)"
        )

    def expected(self, lengths: ArrayLike) -> NDArray[np.float64]:
        """[N] the law's Rg in ångström."""
        return self.coefficient * np.asarray(lengths, np.float64) ** self.exponent

    def residuals(self, lengths: ArrayLike, rg: ArrayLike) -> NDArray[np.float64]:
        """[N] how many spreads ln Rg lies above (+) or below (-) the law."""
        radii = np.maximum(np.asarray(rg, np.float64), np.finfo(np.float64).tiny)
        return (np.log(radii) - np.log(self.expected(lengths))) / self.spread
