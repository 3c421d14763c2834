"""Judge a model by the metrics of its recipe, chain by chain, beside their floors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.paired import FEWEST_CHAINS, Difference
from minifold_core.interfaces import FLOOR
from minifold_core.model import FoldModel
from minifold_core.training.objective import Objective

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
        interval: 95 % bootstrap interval of the paired difference; None for fewer than five chains.
    """

    name: str
    n: int
    mean: float
    floor: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Figures:
    """All figures of merit of a model on some chains."""

    rows: tuple[Figure, ...]

    @property
    def verdict(self) -> str:
        """Which figures clear their floors, in words."""
        judged = [row for row in self.rows if row.interval is not None]
        above = [row.name for row in judged if row.interval and row.interval[0] > 0]
        below = [row.name for row in judged if row.interval and row.interval[1] < 0]
        if not judged:
            return f"Fewer than {FEWEST_CHAINS} chains: too few to tell the model from the floors."
        parts = [f"{len(above)} of {len(judged)} figures clear their floors"]
        parts += [f"below: {', '.join(below)}"] if below else []
        return "; ".join(parts) + " (95 % bootstrap intervals over chains)."

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"figures": [asdict(row) for row in self.rows], "verdict": self.verdict}

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
            floor = difference = ""
            if row.floor is not None:
                floor, difference = f"{row.floor:.3f}", f"{row.mean - row.floor:+.3f}"
            if row.interval is not None:
                difference += " ({:+.3f}, {:+.3f})".format(*row.interval)
            table.add_row(row.name, str(row.n), f"{row.mean:.3f}", floor, difference)
        return table


@torch.no_grad()
def judge_figures(model: FoldModel, chains: Sequence[Chain], seed: int = 0) -> Figures:
    """The metrics of a model that needs no noised state.

    Args:
        model: a model without a denoiser, on the device to use.
        chains: the native chains.
        seed: of the bootstrap.
    """
    model = model.eval()
    objective = Objective.of(model.recipe)
    device = next(model.parameters()).device
    values: dict[str, list[float]] = defaultdict(list)
    ordered = sorted(chains, key=len)
    size = model.recipe.training.batch_size
    for start in range(0, len(ordered), size):
        batch = collate(ordered[start : start + size]).to(device)
        figures = objective.measures(objective.predict(model, batch, None), batch)
        for name, each in figures.items():
            values[name] += each.double().tolist()
    return Figures(tuple(_rows({name: np.array(each) for name, each in values.items()}, seed)))


def _rows(values: dict[str, np.ndarray], seed: int) -> list[Figure]:
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
        interval = Difference.of(each, trivial, seed).interval
        rows.append(Figure(name, n, mean, float(trivial[known].mean()), interval))
    return rows
