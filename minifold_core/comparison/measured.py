"""Sides that have weights, measured: the same chains, the same noise, the same seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from minifold_core.comparison.common import Common
from minifold_core.comparison.cost import Cost, measure_cost, works_of
from minifold_core.comparison.differences import Row, paired_rows, without_broken
from minifold_core.comparison.measuring import Plan, Progress, load_member, measure_side
from minifold_core.comparison.notes import notes_of
from minifold_core.comparison.quantities import Quantities
from minifold_core.comparison.sides import Side
from minifold_core.comparison.verdict import Verdict, make_verdict
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.judge import SCORED, Bench, check_library

SHORT = 12
"""Digits of a hash that tell files apart for people."""


@dataclass(frozen=True)
class Pair:
    """One side beside the first.

    Attributes:
        first: label of the side that differences are taken from.
        other: label of the side that they are taken of.
        rows: the paired difference of everything that both have.
        left_out: what cannot be compared, and why.
        verdict: what may be said.
    """

    first: str
    other: str
    rows: tuple[Row, ...]
    left_out: dict[str, str]
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "first": self.first,
            "other": self.other,
            "verdict": self.verdict.to_dict(),
            "rows": [row.to_dict() for row in self.rows],
            "left_out": self.left_out,
        }


@dataclass(frozen=True)
class Measured:
    """What was measured of two sides or more.

    Attributes:
        chains: the native chains, in the order of all values.
        plan: how it was measured.
        sides: everything that is known of each.
        bench: the chains and their floors; None where no side denoises.
        pairs: every side but the first beside the first.
        cost: of training and sampling; empty if it was not asked for.
    """

    chains: tuple[Chain, ...]
    plan: Plan
    sides: tuple[Quantities, ...]
    bench: Bench | None
    pairs: tuple[Pair, ...]
    cost: tuple[Cost, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be known to read the figures."""
        rows = [row for pair in self.pairs for row in pair.rows]
        on = (self.chains, self.plan.split, self.plan.data_digest)
        return tuple(notes_of(self.sides, rows, *on))

    @property
    def source(self) -> dict[str, Any]:
        """Where every figure comes from."""
        return {
            "weights": {
                side.label: [each.sha256[:SHORT] for each in side.trained] for side in self.sides
            },
            "data": self.plan.data,
            "split": self.plan.split,
            "chains": len(self.chains),
            "samples_per_chain": self.plan.count,
            "seed": self.plan.seed,
            "sampling": {
                side.label: side.settings and side.settings.model_dump() for side in self.sides
            },
            "device": str(self.plan.device),
            "torch": torch.__version__,
        }

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "source": self.source,
            "notes": list(self.notes),
            "sides": [self._side(side) for side in self.sides],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "cost": {
                "threads": torch.get_num_threads(),
                "rounds": self.plan.cost.rounds if self.plan.cost else 0,
                "rows": [each.to_dict() for each in self.cost],
            },
            "chains": [
                {"name": chain.name, "length": len(chain)} | self._values(row)
                for row, chain in enumerate(self.chains)
            ],
        }

    def _side(self, side: Quantities) -> dict[str, Any]:
        report = side.judgement and side.judgement.report
        return {
            "label": side.label,
            "trained": [each.to_dict() for each in side.trained],
            "report": report and report.to_dict(),
            "seconds_per_sample": side.samples and side.samples.seconds,
            "means": {
                kind: {
                    name: float(each.flatten(1).nanmean(1).nanmean()) for name, each in own.items()
                }
                for kind, own in side.kinds.items()
            },
        }

    def _values(self, row: int) -> dict[str, Any]:
        """Every side's values of one chain, as means over trainings and samples."""
        return {
            side.label: {
                kind: {name: float(each[row].nanmean()) for name, each in own.items()}
                for kind, own in side.kinds.items()
            }
            for side in self.sides
        }


def measure(
    sides: Sequence[Side],
    chains: Sequence[Chain],
    library: Iterable[Chain],
    plan: Plan,
    progress: Progress = lambda what, total: nullcontext(lambda steps, words="": None),
) -> Measured:
    """Measure sides that have weights, two or more, and compare all others with the first.

    Every training of every side is sampled on the same chains from the same noise, and validated
    at the same noise; a chain counts by the mean over trainings and samples. Costs come first: what
    does not fit into memory shows early.

    Args:
        sides: each with the weights of one training or more.
        chains: native ones.
        library: where the floors learn what proteins look like; see
            :func:`~minifold_core.evaluation.judge.judge`.
        plan: how to measure.
        progress: shows long work.

    Raises:
        RequestError: a side has no weights, weights cannot be read, or chains cannot be judged.
        MinifoldError: memory does not suffice.
    """
    for side in sides:
        if not side.measured:
            raise RequestError(f"{side.label} has no weights: there is nothing to measure")
    chains, library = tuple(chains), tuple(library)
    denoise = any(side.recipe.process for side in sides)
    if denoise:
        check_library(chains, library)
    cost = _cost(sides, chains, plan, progress) if plan.cost else ()
    bench = None
    if denoise:
        with progress("scoring the floors", SCORED) as advance:
            bench = Bench.of(chains, library, plan.seed, advance)
    measured = tuple(measure_side(side, chains, bench, plan, progress) for side in sides)
    pairs = tuple(_pair(measured[0], other, plan.seed) for other in measured[1:])
    return Measured(chains, plan, measured, bench, pairs, cost)


def _pair(first: Quantities, other: Quantities, seed: int) -> Pair:
    labels = (first.label, other.label)
    common = without_broken(Common.of(first.recipe, other.recipe, labels), (first, other))
    rows = paired_rows(first, other, common, seed)
    return Pair(*labels, rows, common.left_out, make_verdict(first, other, rows, common))


def _cost(
    sides: Sequence[Side], chains: Sequence[Chain], plan: Plan, progress: Progress
) -> tuple[Cost, ...]:
    assert plan.cost is not None
    models = [
        (side.label, load_member(side.members[0])[0].to(plan.device), plan.sampling(side.recipe))
        for side in sides
    ]
    with progress("cost", works_of([each for _, _, each in models], plan.cost)) as advance:
        return measure_cost(models, chains, plan.cost, plan.device, plan.precision, advance)
