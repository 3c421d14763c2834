"""Running means by name."""

from __future__ import annotations

from collections import defaultdict

from torch import Tensor


class Averages:
    """Means of whatever was added under a name."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = defaultdict(float)
        self.counts: dict[str, float] = defaultdict(float)

    def add(self, name: str, value: float, weight: float = 1) -> None:
        """Add a value that stands for ``weight`` of them."""
        self.sums[name] += value * weight
        self.counts[name] += weight

    def add_each(self, name: str, values: Tensor) -> None:
        """Add the values [B] of B proteins, each as one."""
        for value in values.detach().double().tolist():
            self.add(name, value)

    def means(self) -> dict[str, float]:
        """The means so far."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}
