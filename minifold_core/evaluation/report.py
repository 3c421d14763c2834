"""The table of an evaluation: a model beside the floors on the same chains, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from minifold_core.evaluation.metrics import METRICS

if TYPE_CHECKING:
    from rich.table import Table

FEWEST_CHAINS = 5
"""Below this a bootstrap over chains says nothing."""
RESAMPLES = 10_000
LABELS = {"tm": "TM-score", "rmsd": "RMSD (Å)", "gdt_ts": "GDT-TS", "lddt": "lDDT"}

Scores = Mapping[str, Tensor]
"""Metric -> [n] values, one per chain."""


@dataclass(frozen=True)
class Row:
    """The means of one predictor over ``n`` chains, by metric."""

    name: str
    n: int
    means: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """Whether the model clears the best floor in TM-score.

    Attributes:
        floor: the floor with the highest mean TM-score.
        difference: mean over chains of model minus that floor.
        interval: 95 % bootstrap interval of the difference; None for fewer than five chains.
    """

    floor: str
    difference: float
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        if self.interval is None:
            return (
                f"Too few chains to tell whether the model clears the floors: fewer than "
                f"{FEWEST_CHAINS} (TM-score {self.difference:+.3f} against {self.floor})."
            )
        low, high = self.interval
        size = f"TM-score {self.difference:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
        if low > 0:
            return f"The model clears the best floor, {self.floor}: {size}."
        if high < 0:
            return f"The model is below the best floor, {self.floor}: {size}."
        return f"The model cannot be told from the best floor, {self.floor}: {size}."


@dataclass(frozen=True)
class Report:
    """Rows ``model`` and ``floor: ...``, in that order, and the verdict."""

    rows: tuple[Row, ...]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": [{"name": row.name, "n": row.n, **row.means} for row in self.rows],
            "verdict": {
                "floor": self.verdict.floor,
                "tm_difference": self.verdict.difference,
                "tm_interval_95": self.verdict.interval and list(self.verdict.interval),
                "text": str(self.verdict),
            },
        }

    def to_table(self) -> Table:
        """For people."""
        from rich import box
        from rich.table import Table

        table = Table("", "chains", *LABELS.values(), box=box.SIMPLE_HEAD, pad_edge=False)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            values = (f"{row.means[m]:.{2 if m == 'rmsd' else 3}f}" for m in LABELS)
            table.add_row(row.name, str(row.n), *values)
        return table


def make_report(model: Scores, floors: Mapping[str, Scores], seed: int = 0) -> Report:
    """Put a model's scores beside those of the floors on the same chains, in the same order.

    Args:
        model: what :func:`~minifold_core.evaluation.metrics.compare_structures` says of the model.
        floors: the same of each floor, by name.
        seed: of the bootstrap.
    """
    best = max(floors, key=lambda name: float(floors[name]["tm"].mean()))
    gain = (model["tm"] - floors[best]["tm"]).numpy()
    interval = paired_interval(gain, seed) if len(gain) >= FEWEST_CHAINS else None
    named = {"model": model} | {f"floor: {name}": scores for name, scores in floors.items()}
    rows = (
        Row(name, len(scores["tm"]), {m: float(scores[m].mean()) for m in METRICS})
        for name, scores in named.items()
    )
    return Report(tuple(rows), Verdict(best, float(gain.mean()), interval))


def paired_interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean of paired differences [n] (Efron 1979)."""
    rng = np.random.default_rng(seed)
    n = len(differences)
    means = rng.multinomial(n, np.full(n, 1 / n), RESAMPLES) @ differences / n
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
