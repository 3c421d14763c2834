"""The tables of an evaluation: a model beside the floors on the same chains, and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any

from torch import Tensor

from minifold_core.evaluation.floors import MIRROR
from minifold_core.evaluation.paired import FEWEST_CHAINS, Difference
from minifold_core.evaluation.scores import FLOOR, MODEL, SCORES
from minifold_core.evaluation.shuffled import SHUFFLED

Scores = Mapping[str, Tensor]
"""Metric -> [n] values, one per chain, NaN where it is undefined."""


@dataclass(frozen=True)
class Row:
    """The means of one predictor over ``n`` chains, by metric.

    Attributes:
        defined: in how many of the chains each metric is defined; the means are over those.
    """

    name: str
    n: int
    means: dict[str, float]
    defined: dict[str, int]

    @classmethod
    def of(cls, name: str, scores: Scores) -> Row:
        """Average scores over chains."""
        known = {metric: values[~values.isnan()] for metric, values in scores.items()}
        return cls(
            name,
            len(next(iter(scores.values()))),
            {metric: float(values.mean()) for metric, values in known.items()},
            {metric: len(values) for metric, values in known.items()},
        )


@dataclass(frozen=True)
class Comparison:
    """The model's score minus that of ``against``, a floor or the shuffled sequence."""

    metric: str
    against: str
    difference: Difference

    @property
    def outcome(self) -> int:
        """1 or -1 where the interval says that the model is better or worse, else 0."""
        return _sense(self.metric) * self.difference.sign

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"score": self.metric, "against": self.against, **self.difference.to_dict()}


@dataclass(frozen=True)
class Verdict:
    """What the intervals of the TM-score allow to say.

    Attributes:
        floor: the floor with the highest mean TM-score.
        difference: the model's TM-score minus that floor's.
        shuffled: the model's TM-score minus its own on shuffled sequences, if that was sampled.
    """

    floor: str
    difference: Difference
    shuffled: Difference | None = None

    def __str__(self) -> str:
        size = f"TM-score {self.difference.text()}"
        if self.difference.interval is None:
            return (
                f"Too few chains to tell whether the model clears the floors: fewer than "
                f"{FEWEST_CHAINS} ({size} against {self.floor}){self._shuffled(', ')}."
            )
        says = {1: "clears", 0: "cannot be told from", -1: "is below"}[self.difference.sign]
        text = f"The model {says} the best floor, {self.floor}: {size}.{self._shuffled(' ')}"
        return text + self.difference.caution

    def _shuffled(self, lead: str) -> str:
        if self.shuffled is None:
            return ""
        size = f"TM-score {self.shuffled.text()} over the {SHUFFLED}"
        if self.shuffled.interval is None:
            return f"{lead}or whether it reads the sequence ({size})"
        says = {
            1: "It reads the sequence",
            0: "Whether it reads the sequence cannot be told",
            -1: "It does worse with its own sequence than with a shuffled one",
        }
        return f"{lead}{says[self.shuffled.sign]}: {size}."

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "floor": self.floor,
            "tm_difference": self.difference.mean,
            "tm_interval_95": self.difference.to_dict()["interval_95"],
            "shuffled": self.shuffled and self.shuffled.to_dict(),
            "text": str(self),
        }


@dataclass(frozen=True)
class Report:
    """Every predictor's means, the model's differences from each of them, and the verdict.

    Attributes:
        rows: ``model``, perhaps ``shuffled sequence``, ``floor: ...``, and the mirror image.
        comparisons: the model against every floor and the shuffled sequence, in every score.
        best: score to the name of the floor that is best in it.
        verdict: whether the model clears the floors.
    """

    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...]
    best: dict[str, str]
    verdict: Verdict

    def against_best(self, metric: str) -> list[Comparison]:
        """The comparisons of one score with its best floor and with the shuffled sequence."""
        wanted = (self.best.get(metric), SHUFFLED)
        return [c for c in self.comparisons if c.metric == metric and c.against in wanted]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "rows": [
                {"name": row.name, "n": row.n, **row.means, "defined": row.defined}
                for row in self.rows
            ],
            "best_floors": self.best,
            "differences": [each.to_dict() for each in self.comparisons],
            "verdict": self.verdict.to_dict(),
        }


def make_report(
    model: Scores,
    floors: Mapping[str, Scores],
    mirror: Scores,
    shuffled: Scores | None = None,
    seed: int = 0,
) -> Report:
    """Put a model's scores beside those of other predictors of the same chains in the same order.

    The best floor is chosen on the chains that it is then compared on: that favours the floor.

    Args:
        model: what :func:`~minifold_core.evaluation.metrics.compare_structures` says of the model.
        floors: the same of each trivial predictor, by name.
        mirror: the same of the mirror image of the truth: shown, and compared with nothing.
        shuffled: the same of the model on shuffled sequences.
        seed: of the bootstrap.
    """
    others = {} if shuffled is None else {SHUFFLED: shuffled}
    named = {MODEL: model, **others, **{FLOOR + name: each for name, each in floors.items()}}
    named[MIRROR] = mirror
    references = {**floors, **others}
    comparisons = {
        (metric, name): Difference.of(values, reference[metric], seed)
        for metric, values in model.items()
        for name, reference in references.items()
    }
    best = {metric: name for metric in model if (name := _best(metric, floors))}
    verdict = Verdict(best["tm"], comparisons["tm", best["tm"]], comparisons.get(("tm", SHUFFLED)))
    return Report(
        tuple(Row.of(name, scores) for name, scores in named.items()),
        tuple(Comparison(*key, difference) for key, difference in comparisons.items()),
        best,
        verdict,
    )


def _best(metric: str, floors: Mapping[str, Scores]) -> str | None:
    """The floor with the best mean in a score, if it is defined for any."""
    sense = _sense(metric)
    means = {name: sense * float(each[metric].nanmean()) for name, each in floors.items()}
    known = {name: mean for name, mean in means.items() if not isnan(mean)}
    return max(known, key=known.__getitem__, default=None)


def _sense(metric: str) -> int:
    """-1 for a score of which less is better, else 1."""
    return -1 if SCORES[metric].better == "lower" else 1
