"""Running means by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

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
        for value in values.detach().cpu().double().tolist():
            self.add(name, value)

    def merge(self, other: Averages) -> None:
        """Add everything that was added to ``other``."""
        for name, total in other.sums.items():
            self.sums[name] += total
            self.counts[name] += other.counts[name]

    def means(self) -> dict[str, float]:
        """The means so far."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def to_json(self) -> dict[str, list[float]]:
        """Sum and count by name; JSON keeps every digit of them."""
        return {name: [total, self.counts[name]] for name, total in self.sums.items()}

    @classmethod
    def from_json(cls, table: Mapping[str, list[float]]) -> Averages:
        """What :meth:`to_json` wrote."""
        made = cls()
        for name, (total, count) in table.items():
            made.sums[name], made.counts[name] = total, count
        return made
