"""The training objective: noise a batch, denoise it, and measure every loss term per protein."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.components import ComponentConfig
from minifold_core.errors import RequestError
from minifold_core.interfaces import Features, Generators, Loss, Metric, Process
from minifold_core.model import FoldModel
from minifold_core.port_check import check_measured
from minifold_core.recipe import Recipe


class Noised(NamedTuple):
    """What the denoiser starts from: [B, L, 3] noised Cα in model units, and their times [B]."""

    coords: Tensor
    t: Tensor


def build_process(recipe: Recipe) -> Process:
    """The recipe's noising process.

    Raises:
        RequestError: its model has no denoiser, and so no process.
    """
    if recipe.process is None:
        raise RequestError(f"'{recipe.id}' has no denoiser: there are no structures to sample")
    process = recipe.process.spec.implementation_class()(recipe.process.config)
    assert isinstance(process, Process)
    return process


@dataclass(frozen=True)
class Objective:
    """All active loss terms of a recipe, its metrics, and its process if it has one."""

    recipe: Recipe
    process: Process | None
    losses: dict[str, Loss]
    metrics: dict[str, Metric]

    @classmethod
    def of(cls, recipe: Recipe) -> Objective:
        """Build the process, the active losses and the metrics.

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
        metrics = {
            path: slot.spec.implementation_class()(slot.config)
            for path, slot in recipe.metrics.items()
        }
        return cls(recipe, build_process(recipe) if recipe.process else None, losses, metrics)

    def noised(
        self, batch: ProteinBatch, generators: Generators, levels: range | None = None
    ) -> Noised | None:
        """Each native structure at a random noise level; None if there is nothing to denoise.

        Args:
            batch: B proteins.
            generators: B of them; one may stand for several proteins.
            levels: times to choose from; default all.
        """
        if self.process is None:
            return None
        levels = levels or range(self.process.timesteps)
        drawn = [torch.randint(levels.start, levels.stop, (), generator=g) for g in generators]
        t = torch.stack(drawn).to(batch.tokens.device)
        truth = self.truth(batch)
        return Noised(self.process.noise(truth.ca, t, truth.mask, generators), t)

    def masked(self, batch: ProteinBatch, generators: Generators) -> ProteinBatch:
        """``batch`` with the recipe's share of residues hidden (``training.masked_residues``).

        Args:
            batch: B proteins.
            generators: B of them; each protein draws for its own residues alone.
        """
        share = self.recipe.training.masked_residues
        if share == 0:
            return batch
        chosen = torch.zeros_like(batch.mask)
        for row, known, generator in zip(chosen, batch.mask, generators, strict=True):
            draw = torch.rand(int(known.sum()), generator=generator, device=generator.device)
            row[known] = (draw < share).to(row.device)
        return batch.without_residues(chosen)

    def truth(self, batch: ProteinBatch) -> Truth:
        """The native structures in the recipe's model units."""
        return Truth.of(batch, by_size=self.recipe.coordinates.scale == "rg")

    def predict(
        self,
        model: FoldModel,
        batch: ProteinBatch,
        noised: Noised | None,
        self_condition: bool = False,
        trunk: Features | None = None,
    ) -> Features:
        """Everything that the model predicts of ``batch``, from ``noised`` if it denoises.

        With it comes ``snr`` [B], the noise level, for losses that weigh by it.

        Args:
            model: of the objective's recipe.
            batch: B proteins.
            noised: their noised states.
            self_condition: let a first, gradient-free pass supply ``coords_prev``.
            trunk: what ``model.trunk(batch, complete=True)`` gave, if that is known already.
        """
        trunk = trunk or model.trunk(batch, complete=True)
        if self.process is None or noised is None:
            return trunk
        mask = batch.ca_mask
        snr = self.process.snr(noised.t)
        previous = None
        if self_condition:
            with torch.no_grad():
                previous = model.denoise(_detached(trunk), *noised, snr, mask)["coords"]
        prediction = model.denoise(trunk, *noised, snr, mask, previous)
        scale = self.truth(batch).scale
        read = model.read_out(trunk, prediction, mask, scale)
        return trunk | prediction | read | {"snr": snr}

    def settled(self, model: FoldModel, trunk: Features, batch: ProteinBatch) -> dict[str, Tensor]:
        """The terms that are the same at every noise level, for :meth:`terms` to take over.

        Args:
            model: of the objective's recipe.
            trunk: what ``model.trunk(batch, complete=True)`` gave.
            batch: B proteins.
        """
        truth, changing = self.truth(batch), model.changing
        return {
            name: self._term(name, trunk, truth)
            for name in self.losses
            if changing.isdisjoint(n.name for n in self.recipe.losses[name].config.needs())
        }

    def terms(
        self, features: Features, batch: ProteinBatch, settled: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Every active term, [B] each and unweighted, from predicted features.

        Args:
            features: what :meth:`predict` gave.
            batch: B proteins.
            settled: what :meth:`settled` gave; without it, everything is measured.
        """
        truth, known = self.truth(batch), settled or {}
        return {
            name: known[name] if name in known else self._term(name, features, truth)
            for name in self.losses
        }

    def _term(self, name: str, features: Features, truth: Truth) -> Tensor:
        term = self.recipe.losses[name]
        value = self.losses[name](_seen(term.config, features), truth)
        check_measured(term.spec, value, len(truth.mask))
        return value

    def measures(self, features: Features, batch: ProteinBatch) -> dict[str, Tensor]:
        """Every figure of every metric, [B] each, NaN where undefined."""
        truth, figures = self.truth(batch), dict[str, Tensor]()
        for path, metric in self.metrics.items():
            slot = self.recipe.metrics[path]
            found = metric(_seen(slot.config, features), truth)
            for value in found.values():
                check_measured(slot.spec, value, len(truth.mask))
            figures |= found
        return figures

    def total(self, terms: Mapping[str, Tensor], epoch: int | None) -> Tensor:
        """[B] weighted sum with the weights of ``epoch``; None means ramps at their end."""
        total = torch.zeros_like(next(iter(terms.values())))
        for name, value in terms.items():
            term = self.recipe.losses[name]
            total = total + value * (term.final_weight if epoch is None else term.weight_at(epoch))
        return total


def _detached(features: Features) -> Features:
    """Without a way back: even a view that is taken under ``no_grad`` says that it requires one."""
    return {name: value.detach() for name, value in features.items()}


def _seen(config: ComponentConfig, features: Features) -> Features:
    """The ports that a loss or metric needs, without optional ones that nobody gives."""
    return {need.name: features[need.name] for need in config.needs() if need.name in features}
