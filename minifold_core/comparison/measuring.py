"""Measure one side: sample its trainings, judge the samples, and validate it chain by chain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from minifold_core.comparison.cost import CostPlan
from minifold_core.comparison.members import Member
from minifold_core.comparison.quantities import (
    Quantities,
    Trained,
    Values,
    batch_count,
    chain_values,
)
from minifold_core.comparison.sides import Side
from minifold_core.console import Advance
from minifold_core.data.records import Chain
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.evaluation.backbones import backbone_scores_of
from minifold_core.evaluation.judge import Bench
from minifold_core.evaluation.sampling import Samples, sample_chains
from minifold_core.evaluation.scores import MODEL
from minifold_core.folding import Target, steps_of
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.weights.io import load_model

Progress = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows work of a name, with so many steps; :func:`minifold_core.console.progress` is one."""


CPU = torch.device("cpu")


def _own_settings(recipe: Recipe) -> SamplingConfig:
    return recipe.sampling


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        count: samples of each chain and training.
        seed: of noise, floors and bootstrap.
        device: where to compute.
        precision: of the training steps that are timed.
        at_once: samples in a batch at most.
        settings: gives those of the sampler for a side's recipe; default: the recipe's own.
        cost: what to time; None: nothing.
        data: the chains, in words.
        split: which chains of the data they are, if it is known.
        data_digest: SHA-256 of the data, if it is known.
    """

    count: int = 1
    seed: int = 0
    device: torch.device = CPU
    precision: str = "fp32"
    at_once: int | None = None
    settings: Callable[[Recipe], SamplingConfig] = _own_settings
    cost: CostPlan | None = None
    data: str = ""
    split: str = ""
    data_digest: str = ""

    def sampling(self, recipe: Recipe) -> SamplingConfig | None:
        """The sampler's settings for a recipe; None for one that does not denoise."""
        return self.settings(recipe) if recipe.process else None


def load_member(member: Member) -> tuple[FoldModel, Trained]:
    """A training's model, and what is known of it.

    Raises:
        RequestError: it has no weights, or they cannot be read.
        ProtectedError: the weights are damaged or not finite.
    """
    if member.weights is None:
        raise RequestError(f"{member.name} has no weights: there is nothing to measure")
    model, header = load_model(member.weights)
    return model, Trained.of(member.name, member.weights, header, member.seed)


def measure_side(
    side: Side, chains: Sequence[Chain], bench: Bench | None, plan: Plan, progress: Progress
) -> Quantities:
    """Everything that :class:`~minifold_core.comparison.quantities.Quantities` holds of a side.

    Args:
        side: with weights.
        chains: native ones; the order of all values.
        bench: the same with their floors; None if no side denoises.
        plan: how to measure.
        progress: shows long work.
    """
    settings = plan.sampling(side.recipe)
    trained, losses, figures, samples = [], [], [], []
    for member in side.members:
        model, about = load_member(member)
        model.to(plan.device)
        trained.append(about)
        what = side.label if len(side.members) == 1 else member.name
        with progress(f"noise bins, {what}", batch_count(model, chains)) as advance:
            terms, merits = chain_values(model, chains, advance)
        losses.append(terms)
        figures.append(merits)
        if settings is not None:
            samples.append(_sampled(model, chains, settings, plan, what, progress))
    made = Quantities(
        side.label, side.recipe, tuple(trained), settings, _stacked(losses), _stacked(figures)
    )
    return made if bench is None or not samples else _judged(made, samples, bench, plan, progress)


def _sampled(
    model: FoldModel,
    chains: Sequence[Chain],
    settings: SamplingConfig,
    plan: Plan,
    what: str,
    progress: Progress,
) -> Samples:
    targets = [Target.of(chain) for chain in chains]
    total = steps_of(targets, settings, plan.count, plan.at_once)
    with progress(f"sampling, {what}", total) as advance:
        samples = sample_chains(
            model,
            chains,
            settings,
            count=plan.count,
            seed=plan.seed,
            device=plan.device,
            at_once=plan.at_once,
            on_step=advance,
        )
    for name, traces in samples.traces.items():
        if not traces.isfinite().all():
            raise MinifoldError(f"{what}: a sample of {name} has coordinates that are not finite")
    return samples


def _judged(
    made: Quantities, samples: Sequence[Samples], bench: Bench, plan: Plan, progress: Progress
) -> Quantities:
    """Put the samples of all trainings beside the floors."""
    joined = Samples.joined(samples)
    with progress(f"scoring, {made.label}", plan.count * len(samples)) as advance:
        judgement = bench.judge(joined.traces, on_scored=advance)

    def apart(scores: dict[str, Tensor]) -> Values:
        return {name: each.unflatten(1, (len(samples), -1)) for name, each in scores.items()}

    backbone = backbone_scores_of(bench, joined.backbones)[1] if joined.backbones else {}
    return replace(
        made,
        scores=apart(judgement.scores[MODEL]),
        backbone=apart(backbone),
        samples=joined,
        judgement=judgement,
    )


def _stacked(trainings: Sequence[dict[str, Tensor]]) -> Values:
    """Quantities [n] of M trainings as [n, M, 1]."""
    return {
        name: torch.stack([each[name] for each in trainings], 1)[..., None] for name in trainings[0]
    }
