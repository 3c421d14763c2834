"""The gradient of every loss term on every slot, one chain at a time, and what clipping leaves.

Gradients themselves are too large to keep for many terms and chains; norms, angles and shares all
follow from their dot products.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import TrainingConfig
from minifold_core.training.objective import Objective
from minifold_core.training.optim import (
    build_optimizer,
    clip_gradients,
    gradient_norms,
    parameters_by_slot,
)
from minifold_core.training.randomness import generator
from minifold_core.training.validation import noise_bins

Gradients = list[Tensor | None]
"""Of each parameter; None where the term does not reach it."""


@dataclass(frozen=True)
class ChainGradients:
    """What one chain would do to each slot.

    Attributes:
        products: slot to [T, T] dot products of the unweighted gradients of T terms, float64.
        norms: slot to the norm of the weighted sum of the terms' gradients.
        one_clip: slot to what is left of that norm if one limit holds for all slots together.
        recipe_clip: slot to what the recipe's own limits leave of it.
    """

    products: dict[str, Tensor]
    norms: dict[str, float]
    one_clip: dict[str, float]
    recipe_clip: dict[str, float]


class GradientProbe:
    """Measures the gradients of a model's loss terms without changing its weights."""

    def __init__(self, model: FoldModel, objective: Objective, seed: int) -> None:
        self.model, self.objective, self.seed = model.eval(), objective, seed
        self.config = model.recipe.training
        self.optimizer = build_optimizer(model, self.config)
        self.slots = parameters_by_slot(self.optimizer)
        self.parameters = [p for own in self.slots.values() for p in own]
        self.weights = [model.recipe.losses[name].final_weight for name in objective.losses]

    def measure(self, chain: Chain) -> ChainGradients:
        """The gradients of ``chain``, the mean over one noise level of each bin of validation."""
        gradients = self._gradients(chain)
        self._apply(gradients)
        norms = gradient_norms(self.optimizer)
        recipe_clip = self._clipped(self.config)
        self._apply(gradients)
        one_clip = self._clipped(self.config.model_copy(update={"clip_norms": {}}))
        self.optimizer.zero_grad(set_to_none=True)
        return ChainGradients(self._products(gradients), norms, one_clip, recipe_clip)

    def _gradients(self, chain: Chain) -> list[Gradients]:
        """Of every term; one noise level at a time, for its activations are the larger part."""
        batch = collate([chain]).to(self.parameters[0].device)
        hidden = generator(self.seed, "diagnose", chain.name, "mask")
        batch = self.objective.masked(batch, [hidden])
        bins = noise_bins(self.objective.process)
        sums: list[Gradients] = [[None] * len(self.parameters) for _ in self.weights]
        for levels in bins:
            own = generator(self.seed, "diagnose", chain.name, levels.start if levels else 0)
            noised = self.objective.noised(batch, [own], levels)
            features = self.objective.predict(self.model, batch, noised)
            terms = self.objective.terms(features, batch)
            for total, name in zip(sums, self.objective.losses, strict=True):
                self._add(total, terms[name].sum() / len(bins))
        return sums

    def _add(self, total: Gradients, value: Tensor) -> None:
        """Add the gradient of ``value`` to ``total``."""
        if not value.requires_grad:  # nothing to measure in this chain, such as an unknown label
            return
        found = torch.autograd.grad(value, self.parameters, retain_graph=True, allow_unused=True)
        for index, gradient in enumerate(found):
            if gradient is not None:
                before = total[index]
                total[index] = gradient if before is None else before + gradient

    def _apply(self, gradients: list[Gradients]) -> None:
        """Give the parameters the gradient of the weighted sum of the terms."""
        for parameter, own in zip(self.parameters, zip(*gradients, strict=True), strict=True):
            parameter.grad = torch.zeros_like(parameter)
            for weight, gradient in zip(self.weights, own, strict=True):
                if gradient is not None:
                    parameter.grad.add_(gradient, alpha=weight)

    def _clipped(self, config: TrainingConfig) -> dict[str, float]:
        clip_gradients(self.optimizer, config)
        return gradient_norms(self.optimizer)

    def _products(self, gradients: list[Gradients]) -> dict[str, Tensor]:
        slot_of = {id(p): slot for slot, own in self.slots.items() for p in own}
        count = len(gradients)
        products = {slot: torch.zeros(count, count, dtype=torch.float64) for slot in self.slots}
        for parameter, own in zip(self.parameters, zip(*gradients, strict=True), strict=True):
            rows = torch.stack([_flat(gradient, parameter) for gradient in own])
            products[slot_of[id(parameter)]] += (rows @ rows.T).cpu()
        return products


def _flat(gradient: Tensor | None, parameter: nn.Parameter) -> Tensor:
    """[N] the gradient in float64; zeros where the term does not reach the parameter."""
    chosen = torch.zeros_like(parameter) if gradient is None else gradient
    return chosen.detach().double().flatten()
