"""What a comparison allows to say, in words that follow from intervals alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from minifold_core.comparison.common import Common
from minifold_core.comparison.differences import SENSE, Row, Says
from minifold_core.comparison.quantities import Quantities
from minifold_core.comparison.training_claim import FEWEST_SEEDS
from minifold_core.evaluation.paired import FEWEST_CHAINS, Difference
from minifold_core.interfaces import FLOOR

SIDES = ("better", "worse")
HEADLINES = ("tm", "precision_L_24")
"""What decides, the first that both sides have: chosen beforehand, and the others are a table."""


@dataclass(frozen=True)
class FloorCheck:
    """One side against the best of the trivial predictors.

    Attributes:
        label: the side.
        floor: the predictor.
        difference: the side's score minus the predictor's.
        better: which scores are better.
    """

    label: str
    floor: str
    difference: Difference
    better: Literal["higher", "lower"] | None = "higher"

    @property
    def clears(self) -> bool:
        """Whether the interval says that the side is better."""
        return self.difference.sign * SENSE[self.better] > 0

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"label": self.label, "floor": self.floor, **self.difference.to_dict()}


@dataclass(frozen=True)
class Verdict:
    """What may be said of the other side beside the first.

    Attributes:
        says: in a few words, the floors included; None where nothing is common.
        row: what decides; None likewise.
        floors: both sides against their best floors in it; empty where there are none.
        others: names of the other quantities whose intervals say better, and worse; no verdict.
        sentences: the verdict.
    """

    says: str | None
    row: Row | None
    floors: tuple[FloorCheck, ...]
    others: dict[str, list[str]]
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "says": self.says,
            "by": self.row and self.row.name,
            "over": self.row and self.row.over,
            "floors": [each.to_dict() for each in self.floors],
            "others": self.others,
            "text": str(self),
        }


def make_verdict(
    first: Quantities, other: Quantities, rows: Sequence[Row], common: Common
) -> Verdict:
    """Say what the intervals allow, by one quantity chosen beforehand.

    Args:
        first: the side that differences are taken from.
        other: the side that they are taken of.
        rows: their paired differences.
        common: what means the same in both.

    That is the first of :data:`HEADLINES` that both have, the TM-score of samples or a precision
    of contacts; else the first figure of merit that is known to be better higher or lower. Where
    neither side clears its floor that comes first, because a difference between two models at the
    floor is no progress.
    """
    names = f"{first.label} and {other.label}"
    row = _headline(rows)
    if row is None:
        return Verdict(None, None, (), {}, (_nothing(names, rows, common),))
    floors = tuple(check for side in (first, other) if (check := _floor(side, row)))
    rest = [each for each in rows if each is not row and not each.levels]
    others = {says: [each.plain for each in rest if each.says == says] for says in SIDES}
    sentences = [
        _floors(floors, row),
        _difference(row, first, other),
        _others(others, len(rest)),
        _scope(row, first, other),
    ]
    word = "no difference shown" if _same_weights(first, other) else row.says
    return Verdict(_says(word, floors), row, floors, others, tuple(filter(None, sentences)))


def _says(word: Says, floors: Sequence[FloorCheck]) -> str:
    """A word, and what takes from its weight."""
    told = [check for check in floors if check.difference.interval]
    if not told or any(check.clears for check in told):
        return word
    return f"{word}, {'but' if word in SIDES else 'and'} neither clears the floor"


def _headline(rows: Sequence[Row]) -> Row | None:
    known = {row.name: row for row in rows if row.kind == "score" or row.kind == "figure"}
    chosen = [known[name] for name in HEADLINES if name in known]
    return next(iter(chosen + [row for row in known.values() if row.better]), None)


def _nothing(names: str, rows: Sequence[Row], common: Common) -> str:
    if rows:
        return f"{names} have no score in common that says which is better; see the table."
    why = list(dict.fromkeys(common.left_out.values()))[:1]
    return f"{names} have nothing in common that could be compared{''.join(f': {w}' for w in why)}."


def _floor(side: Quantities, row: Row) -> FloorCheck | None:
    if side.judgement is not None:
        verdict = side.judgement.report.verdict
        return FloorCheck(side.label, verdict.floor, verdict.difference)
    own, floor = (side.figures.get(name) for name in (row.name, f"{FLOOR}{row.name}"))
    if own is None or floor is None:
        return None
    difference = Difference.of(own.flatten(1).nanmean(1), floor.flatten(1).nanmean(1))
    return FloorCheck(side.label, "a trivial predictor", difference, row.better)


def _floors(floors: Sequence[FloorCheck], row: Row) -> str:
    if not floors:
        return ""
    if any(check.difference.interval is None for check in floors):
        return "There are too few chains to tell whether the floors are cleared."
    each = ", ".join(f"{check.difference.text(row.digits)} for {check.label}" for check in floors)
    cleared = [check.label for check in floors if check.clears]
    whose = {0: "Neither clears", 1: f"Only {''.join(cleared)} clears", 2: "Both clear"}
    best = " and ".join(dict.fromkeys(check.floor for check in floors))
    text = f"{whose[len(cleared)]} the best floor, {best}: {row.label} {each}."
    if cleared:
        return text
    return f"{text} A difference between models at the floor is no progress."


def _difference(row: Row, first: Quantities, other: Quantities) -> str:
    names = f"{first.label} and {other.label}"
    size = f"{row.label} {row.decides.text(row.digits)}"
    if _same_weights(first, other):
        return f"No difference shown: {names} are the same weights ({size})."
    if row.says == "too few chains":
        return f"Too few chains to tell the two apart: fewer than {FEWEST_CHAINS} ({size})."
    over = _chains(row) if row.over == "chains" else f"over seeds ({_seeds(first, other)})"
    if row.gain:
        text = f"{other.label} is {row.says} than {first.label} by {size} {over}."
    else:
        text = f"No difference shown between {names}: {size} {over}."
    return text + (row.difference.caution if row.over == "chains" else "")


def _others(others: dict[str, list[str]], count: int) -> str:
    """What else differs, named so that one score is not taken for all."""
    named = [f"{says} in {', '.join(names)}" for says, names in others.items() if names]
    if not named:
        return ""
    return f"By their own intervals, of {count} other quantities: {'; '.join(named)}."


def _scope(row: Row, first: Quantities, other: Quantities) -> str:
    """What the interval is of: these weights and samples, or training."""
    if _same_weights(first, other):
        return ""
    if row.over == "seeds":
        return (
            "That is said of training, on these chains. Of these weights alone: "
            f"{row.label} {row.difference.text(row.digits)} {_chains(row)}.{row.difference.caution}"
        )
    text = "This is said of these weights."
    if row.kind == "score":
        text = (
            "This is said of these weights and these samples "
            f"({first.samples_each} of each chain); another --seed draws others."
        )
    if row.training:
        return (
            f"{text} Of training nothing can be said: all of a side's seeds score the same "
            f"({_seeds(first, other)})."
        )
    return (
        f"{text} Of training nothing is said: that takes {FEWEST_SEEDS} seeds or more a side, and "
        f"{_seeds(first, other)}."
    )


def _same_weights(first: Quantities, other: Quantities) -> bool:
    return [each.sha256 for each in first.trained] == [each.sha256 for each in other.trained]


def _chains(row: Row) -> str:
    return f"over {row.difference.n} chain{'s' * (row.difference.n != 1)}"


def _seeds(first: Quantities, other: Quantities) -> str:
    return ", ".join(f"{side.label} has {side.seeds}" for side in (first, other))
