"""What is known of one side: every quantity chain by chain, training by training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minifold_core.comparison.common import TOTAL, measurable
from minifold_core.data.records import Chain
from minifold_core.evaluation.judge import Judgement
from minifold_core.evaluation.noise_levels import batches, steady
from minifold_core.evaluation.sampling import Samples
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.objective import Objective
from minifold_core.training.validation import bin_suffix, validated
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.header import Header
from minifold_core.weights.seen import descent

Values = dict[str, Tensor]
"""Quantity to [n, M, N]: n chains, M trainings, N samples of each; NaN where it is undefined."""


@dataclass(frozen=True)
class Trained:
    """One training of a side.

    Attributes:
        name: what the user called it.
        file: name of its weights file.
        sha256: of that file.
        seed: of the training, if it is known.
        step: optimizer steps taken.
        epoch: epochs finished.
        data_digest: of the training data; empty if it is not known.
        descent: SHA-256 of all that the weights come from; see
            :func:`~minifold_core.weights.seen.descent`.
        continued: whether it began from weights of another training, whose epochs do not count.
    """

    name: str
    file: str
    sha256: str
    seed: int | None
    step: int
    epoch: int
    data_digest: str
    descent: tuple[str, ...] = ()
    continued: bool = False

    @classmethod
    def of(cls, name: str, weights: Path, header: Header, seed: int | None = None) -> Trained:
        """What a weights file says of its training."""
        sha256 = file_sha256(weights)
        made = (header.step, header.epoch, header.data_digest)
        earlier = descent(sha256, header), bool(header.migrations)
        return cls(name, weights.name, sha256, seed, *made, *earlier)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.name,
            "file": self.file,
            "sha256": self.sha256,
            "seed": self.seed,
            "step": self.step,
            "epoch": self.epoch,
            "data_digest": self.data_digest,
        }


@dataclass(frozen=True)
class Quantities:
    """Everything that was measured of one side, on chains in one order.

    Attributes:
        label: what the side is called.
        recipe: its recipe.
        trained: its M trainings.
        settings: of the sampler; None for a model without a denoiser.
        scores: of sampled structures beside the native ones.
        backbone: of sampled backbones alone; empty if the model places none.
        losses: loss terms, those of weight 0 too, and their weighted sum, as means over the bins of
            noise levels and (``NAME@tLOW-HIGH``) in each of them.
        figures: the recipe's metrics and their floors.
        samples: the structures, M * N of each chain; None for a model without a denoiser.
        judgement: the samples beside the floors; None for a model without a denoiser.
    """

    label: str
    recipe: Recipe
    trained: tuple[Trained, ...]
    settings: SamplingConfig | None
    losses: Values
    figures: Values
    scores: Values = field(default_factory=dict)
    backbone: Values = field(default_factory=dict)
    samples: Samples | None = None
    judgement: Judgement | None = None

    @property
    def seeds(self) -> int:
        """How many different seeds there are; those that are not known count as one."""
        return len({each.seed for each in self.trained})

    @property
    def samples_each(self) -> int:
        """How often each training is sampled on each chain; 0 if it does not denoise."""
        return next((values.shape[2] for values in self.scores.values()), 0)

    @property
    def lower_is_better(self) -> frozenset[str]:
        """Names of the recipe's figures of which less is more."""
        metrics = (slot.spec.implementation_class() for slot in self.recipe.metrics.values())
        return frozenset(name for metric in metrics for name in metric.lower_is_better)

    @property
    def kinds(self) -> dict[str, Values]:
        """All values by what they are."""
        return {
            "score": self.scores,
            "backbone": self.backbone,
            "figure": self.figures,
            "loss": self.losses,
        }

    @property
    def independent(self) -> bool:
        """Whether every training has a seed of its own."""
        return self.seeds == len(self.trained)


def chain_values(
    model: FoldModel, chains: Sequence[Chain], on_batch: Callable[[int], None]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Loss terms and figures of every chain, [n] each, at the fixed noise of validation.

    Args:
        model: on the device to use.
        chains: n native chains.
        on_batch: called with 1 after every batch; see :func:`batch_count`.

    Returns:
        Losses and figures; of a model that denoises also in each bin of noise levels.
    """
    objective = _all_measurable(model.recipe)
    ordered = sorted(chains, key=len)
    rows = {chain.name: row for row, chain in enumerate(chains)}
    losses: dict[str, Tensor] = {}
    figures: dict[str, Tensor] = {}
    for seen in validated(model, objective, batches(model, ordered, on_batch)):
        own = [rows[name] for name in seen.names]
        suffix = bin_suffix(seen.levels) if seen.levels else ""
        active = {name: seen.terms[name] for name in model.recipe.active_losses}
        terms = seen.terms | {TOTAL: objective.total(active, None)}
        for values, found in ((losses, terms), (figures, seen.figures)):
            for name, value in found.items():
                column = values.setdefault(
                    name + suffix, torch.full((len(chains),), torch.nan, dtype=torch.float64)
                )
                column[own] = value.detach().cpu().double()
    return _with_means(losses, torch.mean), _with_means(figures, torch.nanmean)


def batch_count(model: FoldModel, chains: Sequence[Chain]) -> int:
    """How many batches :func:`chain_values` will report."""
    return -(-len(chains) // model.recipe.training.batch_size)


def _all_measurable(recipe: Recipe) -> Objective:
    """The recipe's objective with the terms of weight 0 that its model can be measured by."""
    losses = {
        name: term.spec.implementation_class()(term.config)
        for name, term in measurable(recipe).items()
    }
    return replace(Objective.of(recipe), losses=losses)


def _with_means(
    values: dict[str, Tensor], mean: Callable[[Tensor, int], Tensor]
) -> dict[str, Tensor]:
    """Each quantity's mean over the bins, and the bins, unless noise does not matter to it."""
    bins: dict[str, list[str]] = {}
    for name in values:
        bins.setdefault(name.partition("@")[0], []).append(name)
    made: dict[str, Tensor] = {}
    for name, own in bins.items():
        stack = torch.stack([values[each] for each in own])
        made[name] = mean(stack, 0)
        if not steady(stack.nanmean(1).tolist()):
            made |= {each: values[each] for each in own}
    return made
