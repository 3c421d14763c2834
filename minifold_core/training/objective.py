"""The training objective: noise a batch, denoise it, and measure every loss term per protein."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.errors import RequestError
from minifold_core.interfaces import Features, Generators, Loss, Process
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe


def build_process(recipe: Recipe) -> Process:
    """The recipe's noising process."""
    process = recipe.process.spec.implementation_class()(recipe.process.config)
    assert isinstance(process, Process)
    return process


@dataclass(frozen=True)
class Objective:
    """All active loss terms of a recipe over its process."""

    recipe: Recipe
    process: Process
    losses: dict[str, Loss]

    @classmethod
    def of(cls, recipe: Recipe) -> Objective:
        """Build the process and the active losses.

        Raises:
            RequestError: the recipe has no active loss.
        """
        if not recipe.active_losses:
            raise RequestError(
                f"recipe '{recipe.id}' has no active loss: there is nothing to learn"
            )
        losses = {
            name: term.spec.implementation_class()(term.config)
            for name, term in recipe.active_losses.items()
        }
        return cls(recipe, build_process(recipe), losses)

    def noise(self, batch: ProteinBatch, t: Tensor, generators: Generators) -> Tensor:
        """[B, L, 3] the native Cα in model units, noised to times ``t`` [B]."""
        truth = self.truth(batch)
        return self.process.noise(truth.ca, t, truth.mask, generators)

    def truth(self, batch: ProteinBatch) -> Truth:
        """The native structures in the recipe's model units."""
        return Truth.of(batch, by_size=self.recipe.coordinates.scale == "rg")

    def predict(
        self,
        model: FoldModel,
        batch: ProteinBatch,
        coords_t: Tensor,
        t: Tensor,
        self_condition: bool = False,
    ) -> Features:
        """Denoise ``coords_t`` [B, L, 3] from times ``t`` [B].

        With ``self_condition`` a first, gradient-free pass supplies ``coords_prev``.
        """
        mask = batch.ca_mask
        snr = self.process.snr(t)
        trunk = model.trunk(batch, complete=True)
        previous = None
        if self_condition:
            with torch.no_grad():
                previous = model.denoise(trunk, coords_t, t, snr, mask)["coords"]
        prediction = model.denoise(trunk, coords_t, t, snr, mask, previous)
        scale = self.truth(batch).scale
        return trunk | prediction | model.read_out(trunk, prediction, mask, scale)

    def terms(self, features: Features, batch: ProteinBatch) -> dict[str, Tensor]:
        """Every active term, [B] each and unweighted, from predicted features."""
        truth = self.truth(batch)
        values = {}
        for name, loss in self.losses.items():
            needs = self.recipe.losses[name].config.needs()
            seen = {need.name: features[need.name] for need in needs if need.name in features}
            values[name] = loss(seen, truth)
        return values

    def total(self, terms: dict[str, Tensor], epoch: int | None) -> Tensor:
        """[B] weighted sum with the weights of ``epoch``; None means ramps at their end."""
        total = torch.zeros_like(next(iter(terms.values())))
        for name, value in terms.items():
            term = self.recipe.losses[name]
            total = total + value * (term.final_weight if epoch is None else term.weight_at(epoch))
        return total
