"""Judge a model by the metrics of its recipe, chain by chain, beside their floors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.paired import FEWEST_CHAINS, Difference
from minifold_core.interfaces import FLOOR
from minifold_core.model import FoldModel
from minifold_core.training.objective import Objective
from minifold_core.training.validation import validated

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One figure of merit over the ``n`` chains in which it is defined.

    Attributes:
        name: such as ``precision_L_24``.
        n: how many chains.
        mean: over chains.
        floor: mean of a trivial predictor on the same chains; None if the metric names none.
        gain: the model minus that predictor; None without one.
        lower_is_better: whether less is more, as of errors.
    """

    name: str
    n: int
    mean: float
    floor: float | None = None
    gain: Difference | None = None
    lower_is_better: bool = False

    @property
    def sign(self) -> int:
        """1 where the model is better than its floor, -1 where worse, 0: nothing can be said."""
        return self.gain.sign * (-1 if self.lower_is_better else 1) if self.gain else 0

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        gain = self.gain.to_dict() if self.gain else {"difference": None, "interval_95": None}
        return gain | {
            "name": self.name,
            "n": self.n,
            "mean": self.mean,
            "floor": self.floor,
            "lower_is_better": self.lower_is_better,
        }


@dataclass(frozen=True)
class Figures:
    """All figures of merit of a model on some chains."""

    rows: tuple[Figure, ...]

    @property
    def verdict(self) -> str:
        """Which figures clear their floors, in words."""
        if not self.rows:
            return "The recipe names no metric, so there is nothing to judge the model by."
        judged = [row for row in self.rows if row.gain and row.gain.interval]
        gains = [row.gain for row in judged if row.gain]
        above = [row.name for row in judged if row.sign > 0]
        worse = [row.name for row in judged if row.sign < 0]
        if not judged:
            return f"Fewer than {FEWEST_CHAINS} chains: too few to tell the model from the floors."
        parts = [f"{len(above)} of {len(judged)} figures clear their floors"]
        parts += [f"worse: {', '.join(worse)}"] if worse else []
        few = min(gains, key=lambda gain: gain.n)
        return "; ".join(parts) + " (95 % bootstrap intervals over chains)." + few.caution

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"figures": [row.to_dict() for row in self.rows], "verdict": self.verdict}

    def to_table(self) -> Table:
        """For people."""
        from rich import box
        from rich.table import Table

        table = Table(
            "", "chains", "model", "floor", "difference", box=box.SIMPLE_HEAD, pad_edge=False
        )
        table.columns[0].no_wrap = True
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            floor = "" if row.floor is None else f"{row.floor:.3f}"
            gain = row.gain.text() if row.gain else ""
            table.add_row(row.name, str(row.n), f"{row.mean:.3f}", floor, gain)
        return table


def judge_figures(model: FoldModel, chains: Sequence[Chain], seed: int = 0) -> Figures:
    """The metrics of a model that needs no noised state; residues are hidden as in validation.

    Args:
        model: a model without a denoiser, on the device to use.
        chains: the native chains.
        seed: of the bootstrap.
    """
    objective = Objective.of(model.recipe)
    device = next(model.parameters()).device
    values: dict[str, list[float]] = defaultdict(list)
    ordered = sorted(chains, key=len)
    size = model.recipe.training.batch_size
    starts = range(0, len(ordered), size)
    batches = (collate(ordered[start : start + size]).to(device) for start in starts)
    for seen in validated(model, objective, batches):
        for name, each in seen.figures.items():
            values[name] += each.double().tolist()
    arrays = {name: np.array(each) for name, each in values.items()}
    lower = {name for metric in objective.metrics.values() for name in metric.lower_is_better}
    return Figures(tuple(_rows(arrays, lower, seed)))


def _rows(values: dict[str, np.ndarray], lower: set[str], seed: int) -> list[Figure]:
    rows = []
    for name, each in values.items():
        known = ~np.isnan(each)
        if name.startswith(FLOOR) or not known.any():
            continue
        mean, n = float(each[known].mean()), int(known.sum())
        trivial = values.get(f"{FLOOR}{name}")
        if trivial is None:
            rows.append(Figure(name, n, mean))
            continue
        gain, floor = Difference.of(each, trivial, seed), float(trivial[known].mean())
        rows.append(Figure(name, n, mean, floor, gain, name in lower))
    return rows
