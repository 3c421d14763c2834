"""Which epochs' weights a run keeps, besides the best and the last."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from minifold_core.errors import RequestError


@dataclass(frozen=True)
class Keep:
    """The epochs whose weights stay: every ``every``-th, and the ``best`` of them."""

    every: int = 0
    best: int = 0

    @classmethod
    def parse(cls, rule: str) -> Keep:
        """Read a rule such as ``every 5, best 3``; empty: none.

        Raises:
            RequestError: it says anything else.
        """
        found: dict[str, int] = {}
        for clause in filter(None, map(str.strip, rule.split(","))):
            match = re.fullmatch(r"(every|best)\s+([1-9]\d*)", clause)
            if match is None or match[1] in found:
                raise RequestError(f"--keep '{rule}': write it as 'every 5, best 3'")
            found[match[1]] = int(match[2])
        return cls(**found)

    def epochs(self, scores: Iterable[tuple[int, float]]) -> set[int]:
        """The epochs to keep, of those with their validation totals."""
        scores = list(scores)
        chosen = {epoch for epoch, _ in scores if self.every and epoch % self.every == 0}
        ranked = sorted(scores, key=lambda pair: (pair[1], pair[0]))
        return chosen | {epoch for epoch, _ in ranked[: self.best]}
