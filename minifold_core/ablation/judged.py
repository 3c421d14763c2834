"""Recipes beside the floors and beside the first of them, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minifold_core.ablation.question import Entry
from minifold_core.ablation.samples import Sampled, Traces
from minifold_core.comparison.common import Common
from minifold_core.comparison.differences import Row, paired_rows
from minifold_core.comparison.quantities import Quantities, Trained
from minifold_core.evaluation.judge import Bench, Judgement
from minifold_core.evaluation.paired import Difference
from minifold_core.evaluation.scores import MODEL

SHOWN = ("tm", "lddt", "precision_L_24")
"""The scores of the table; the first of them decides."""
SCORES_ALONE = Common((), figures=False, left_out={})


@dataclass(frozen=True)
class Arm:
    """One recipe, judged.

    Attributes:
        entry: the recipe.
        trained: its M trainings that came to an end.
        seconds: of training steps that each of them took.
        parameters: of the model.
        judgement: its samples, those of all trainings together, beside the floors.
        versus_first: the paired difference of every score from the first recipe; empty for that.
    """

    entry: Entry
    trained: tuple[Trained, ...]
    seconds: tuple[float, ...]
    parameters: int
    judgement: Judgement
    versus_first: tuple[Row, ...]

    @property
    def label(self) -> str:
        """The recipe's name."""
        return self.entry.label

    @property
    def steps(self) -> float:
        """Optimizer steps, the mean over trainings."""
        return sum(each.step for each in self.trained) / len(self.trained)

    @property
    def headline(self) -> Row | None:
        """The row of the score that decides; None for the first recipe."""
        return next((row for row in self.versus_first if row.name == SHOWN[0]), None)

    def by_seed(self, metric: str) -> list[float]:
        """Each training's mean of a score over chains and samples."""
        scores = self.judgement.scores[MODEL][metric].unflatten(1, (len(self.trained), -1))
        return scores.nanmean(2).nanmean(0).tolist()


def judge_recipe(
    entry: Entry,
    sampled: Sequence[Sampled],
    seconds: Sequence[float],
    bench: Bench,
    first: Arm | None,
    on_scored: Callable[[int], None],
) -> Arm:
    """Put the samples of a recipe's trainings beside the floors and beside the first recipe.

    A chain counts by its mean over trainings and samples.

    Args:
        entry: the recipe.
        sampled: of each training, on the bench's chains.
        seconds: of training, of each.
        bench: chains and floors.
        first: what differences are taken from.
        on_scored: called with 1 when one sample of every chain has been scored.
    """
    own = _joined([each.own for each in sampled])
    shuffled = _joined([each.shuffled for each in sampled]) if sampled[0].shuffled else None
    judgement = bench.judge(own, shuffled, on_scored)
    trained = tuple(each.trained for each in sampled)
    arm = Arm(entry, trained, tuple(seconds), sampled[0].parameters, judgement, ())
    if first is None:
        return arm
    rows = paired_rows(_quantities(first), _quantities(arm), SCORES_ALONE, bench.seed)
    return replace(arm, versus_first=rows)


def mean_over_chains(values: Tensor, seed: int) -> Difference:
    """The mean of values [n, N] over n chains, and its bootstrap interval over them."""
    means = values.nanmean(1)
    return Difference.of(means, torch.zeros_like(means), seed)


def floor_rows(bench: Bench) -> list[dict[str, Any]]:
    """A row of the table for each trivial predictor."""
    return [_row(name, "floor", scores, bench.seed) for name, scores in bench.floors.items()]


def recipe_row(arm: Arm, seed: int) -> dict[str, Any]:
    """The row of the table for a recipe; what does not exist is None."""
    verdict = arm.judgement.report.verdict
    row = _row(arm.label, "recipe", arm.judgement.scores[MODEL], seed)
    row |= {"seeds": len(arm.trained), "steps": arm.steps, "parameters": arm.parameters}
    row["seconds"] = sum(arm.seconds) / len(arm.seconds)
    row |= _numbers("tm_minus_shuffled", verdict.shuffled)
    row |= _numbers("tm_minus_best_floor", verdict.difference)
    if headline := arm.headline:
        row |= _numbers("tm_minus_first", headline.difference)
        if headline.training:
            low, high = headline.training.interval or (None, None)
            row |= {"tm_minus_first_seeds_low": low, "tm_minus_first_seeds_high": high}
    return row


def _row(name: str, kind: str, scores: Mapping[str, Tensor], seed: int) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "kind": kind}
    row |= dict.fromkeys(("seeds", "steps", "seconds", "parameters"))
    row |= _numbers("tm", mean_over_chains(scores["tm"], seed))
    row |= {metric: mean_over_chains(scores[metric], seed).mean for metric in SHOWN[1:]}
    for of in ("tm_minus_shuffled", "tm_minus_best_floor", "tm_minus_first"):
        row |= _numbers(of, None)
    return row | dict.fromkeys(("tm_minus_first_seeds_low", "tm_minus_first_seeds_high"))


def _numbers(name: str, found: Difference | None) -> dict[str, float | None]:
    """A mean and its interval over chains, as three columns."""
    low, high = (found and found.interval) or (None, None)
    return {name: found.mean if found else None, f"{name}_low": low, f"{name}_high": high}


def _joined(several: Sequence[Traces]) -> Traces:
    return {name: torch.cat([each[name] for each in several]) for name in several[0]}


def _quantities(arm: Arm) -> Quantities:
    """What a comparison knows of a side, its scores alone."""
    count = len(arm.trained)
    scores = {
        metric: values.unflatten(1, (count, -1))
        for metric, values in arm.judgement.scores[MODEL].items()
    }
    return Quantities(arm.label, arm.entry.recipe, arm.trained, None, {}, {}, scores=scores)
