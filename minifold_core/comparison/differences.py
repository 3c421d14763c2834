"""Two sides on the same chains with the same noise: the paired difference of every quantity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from minifold_core.comparison.common import TOTAL, Common
from minifold_core.comparison.quantities import Quantities, Values
from minifold_core.comparison.training_claim import TrainingDifference
from minifold_core.evaluation.paired import Difference, digits_for
from minifold_core.evaluation.scores import SCORES
from minifold_core.interfaces import FLOOR

Kind = Literal["score", "backbone", "figure", "loss"]
Says = Literal["better", "worse", "no difference shown", "too few chains", "differs"]
SENSE = {"higher": 1, "lower": -1, None: 0}
"""The sign of a difference that is a gain, by which values are better."""
TOTAL_LABEL = "weighted sum"
DIGITS = 3


@dataclass(frozen=True)
class Row:
    """One quantity of two sides; means are over the chains in which both have it.

    Attributes:
        kind: what it is.
        name: such as ``tm`` or ``fape``.
        levels: the bin of noise levels, such as ``t0-250``; empty for all, or without noise.
        label: for people.
        digits: how many to print after the decimal point.
        better: which values are better; None where that is not known.
        first: mean of the first side.
        other: mean of the other.
        difference: the other's minus the first's, over chains: it says something of these
            weights.
        training: the same over trainings; None with fewer than three seeds a side.
    """

    kind: Kind
    name: str
    levels: str
    label: str
    digits: int
    better: Literal["higher", "lower"] | None
    first: float
    other: float
    difference: Difference
    training: TrainingDifference | None

    @property
    def plain(self) -> str:
        """The label without a unit, for running text."""
        return SCORES[self.name].label if self.name in SCORES else self.label

    @property
    def over(self) -> Literal["chains", "seeds"]:
        """What the interval that decides is over: seeds where both sides have enough of them."""
        return "seeds" if self.training and self.training.interval else "chains"

    @property
    def decides(self) -> Difference | TrainingDifference:
        """The difference whose interval says better or worse."""
        return self.training if self.training and self.training.interval else self.difference

    @property
    def enough_digits(self) -> int:
        """Digits with which no bound that decides is printed as 0."""
        return digits_for(self.decides.interval, self.digits)

    @property
    def gain(self) -> int:
        """1 where the other is better, -1 where it is worse, 0 where neither can be said."""
        return SENSE[self.better] * self.decides.sign

    @property
    def says(self) -> Says:
        """What the interval that decides allows to say of the other side."""
        if self.difference.interval is None:
            return "too few chains"
        if not self.decides.sign:
            return "no difference shown"
        return {1: "better", -1: "worse", 0: "differs"}[self.gain]  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "kind": self.kind,
            "name": self.name,
            "noise_levels": self.levels or None,
            "label": self.label,
            "digits": self.enough_digits,
            "better": self.better,
            "first": self.first,
            "other": self.other,
            **self.difference.to_dict(),
            "says": self.says,
            "over": self.over,
            "training": self.training and self.training.to_dict(),
        }


def without_broken(common: Common, sides: Sequence[Quantities]) -> Common:
    """Leave out the losses that are not finite on some chain of a side, as after divergence."""
    broken = {}
    for side in sides:
        for name in common.losses:
            if lost := int((~side.losses[name].isfinite()).flatten(1).any(1).sum()):
                broken[name] = f"not finite on {lost} chains of {side.label}"
    kept = tuple(name for name in common.losses if name not in broken)
    return replace(common, losses=kept, left_out=common.left_out | broken)


def paired_rows(
    first: Quantities, other: Quantities, common: Common, seed: int = 0
) -> tuple[Row, ...]:
    """Every quantity that the two have in common, in the order in which it is shown.

    Args:
        first: what the differences are taken from.
        other: on the same chains in the same order.
        common: what means the same in both.
        seed: of the bootstrap.
    """
    return tuple(_rows(first, other, common, seed))


def _rows(first: Quantities, other: Quantities, common: Common, seed: int) -> Iterator[Row]:
    pairs: list[tuple[Kind, Values, Values]] = [
        ("score", first.scores, other.scores),
        ("backbone", first.backbone, other.backbone),
    ]
    if common.figures:
        pairs.append(("figure", first.figures, other.figures))
    losses = [
        {name: each for name, each in side.losses.items() if name.split("@")[0] in common.losses}
        for side in (first, other)
    ]
    pairs.append(("loss", *losses))  # type: ignore[arg-type]
    claim = first.independent and other.independent
    for kind, ours, theirs in pairs:
        for name, values in ours.items():
            if name in theirs and not name.startswith(FLOOR):
                better = _better(kind, name, first)
                row = _row(kind, name, values, theirs[name], better, claim, seed)
                if row.difference.n:
                    yield row


def _row(
    kind: Kind,
    name: str,
    first: Tensor,
    other: Tensor,
    better: Literal["higher", "lower"] | None,
    claim: bool,
    seed: int,
) -> Row:
    stem, _, levels = name.partition("@")
    score = SCORES.get(stem) if kind in ("score", "backbone") else None
    # [n, M] means over samples, of the chains in which every training of both sides has one.
    ours, theirs = (values.nanmean(2) for values in (first, other))
    both = ~torch.cat([ours, theirs], 1).isnan().any(1)
    ours, theirs = ours[both], theirs[both]
    one, two = ours.mean(1), theirs.mean(1)
    return Row(
        kind,
        stem,
        levels,
        score.heading if score else TOTAL_LABEL if stem == TOTAL else stem,
        score.digits if score else DIGITS,
        better,
        float(one.mean()),
        float(two.mean()),
        Difference.of(two, one, seed),
        TrainingDifference.of(ours.mean(0).tolist(), theirs.mean(0).tolist()) if claim else None,
    )


def _better(kind: Kind, name: str, side: Quantities) -> Literal["higher", "lower"] | None:
    if kind == "loss" or (kind == "figure" and name in side.lower_is_better):
        return "lower"
    if kind == "figure":  # higher is better where a trivial predictor is named, as in evaluate
        return "higher" if f"{FLOOR}{name}" in side.figures else None
    return SCORES[name].better
