"""One optimizer step: forward and backward of its batches, then the update and its bookkeeping."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.console import note
from minifold_core.errors import MinifoldError
from minifold_core.geometry.frames import random_rotations
from minifold_core.model import FoldModel
from minifold_core.phases import phase
from minifold_core.training.averages import Averages
from minifold_core.training.health import UpdateRatios, first_non_finite
from minifold_core.training.objective import Noised, Objective
from minifold_core.training.optim import (
    EMA,
    build_optimizer,
    clip_gradients,
    gradient_norms,
    parameters_by_slot,
    set_learning_rate,
    trainable,
)
from minifold_core.training.parallel import Group
from minifold_core.training.randomness import chance, generator, seed_all
from minifold_core.training.tripwire import Tripwire

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class _NotFiniteError(Exception):
    """A loss that is no number; the message names proteins, terms and the module."""


@dataclass(frozen=True)
class StepReport:
    """What one step says of itself.

    Attributes:
        losses: means over the step's proteins, by ``train/NAME``.
        health: one number each of learning rates, gradient norms and the like.
    """

    losses: Averages
    health: dict[str, float]


class Stepper:
    """Takes optimizer steps, every one a function of the weights, the seed and its number."""

    def __init__(
        self, model: FoldModel, device: torch.device, precision: str, seed: int, group: Group
    ) -> None:
        self.model = model.to(device)
        self.device, self.precision, self.seed, self.group = device, precision, seed, group
        self.config = model.recipe.training
        self.objective = Objective.of(model.recipe)
        self.optimizer = build_optimizer(model, self.config)
        self.slots = parameters_by_slot(self.optimizer)
        self.ema = EMA(model, self.config.ema_decay)
        self.tripwire = Tripwire(self.config.tripwire)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
        self.step = 0
        self.skipped = 0
        """Steps on end whose losses or gradients were not finite."""
        self._checked = False
        model.set_checkpointing(self.config.checkpointing)

    def take(
        self, batches: Iterable[ProteinBatch], size: int, epoch: int, rate: float
    ) -> StepReport:
        """Update the weights from this process's batches of a step of ``size`` proteins.

        Args:
            batches: this process's share.
            size: proteins of the step, in all processes together.
            epoch: counted from 1; it decides the loss weights.
            rate: the base learning rate.

        Raises:
            MinifoldError: a trainable parameter gets no gradient; the tripwire halts; or too many
                steps on end were not finite.
        """
        seed_all(self.seed, "step", self.step, self.group.rank)
        health = {f"lr/{slot}": r for slot, r in set_learning_rate(self.optimizer, rate).items()}
        self.optimizer.zero_grad(set_to_none=True)
        losses, complaint = Averages(), ""
        try:
            for batch in batches:
                self._accumulate(batch, size, epoch, losses)
        except _NotFiniteError as error:
            complaint = str(error)
            deque(batches, maxlen=0)  # the next step's batches come after these
        bad = self.group.highest(int(bool(complaint)))
        # Before the update: losing a process must not part the weights from their step.
        means = self.group.merge(losses)
        if not bad:
            if losses.counts:
                self._check_gradients()
            self.group.add_gradients([p for own in self.slots.values() for p in own])
            with phase("update: norms, clipping, optimizer, average"):
                bad = self._update(health)
            complaint = "" if not bad else "gradients are not finite"
        self._count_skips(bad, complaint)
        health["skipped"] = float(bad)
        self.step += 1
        return StepReport(means, health)

    def _accumulate(self, batch: ProteinBatch, size: int, epoch: int, losses: Averages) -> None:
        """Add a batch's gradients; the trunk runs once, the denoiser for every noise copy."""
        where = (self.seed, self.step)
        drop = [chance(self.config.unconditional, *where, "drop", name) for name in batch.names]
        if any(drop):
            batch = batch.without_condition(torch.tensor(drop, device=self.device))
        batch = self.objective.masked(batch, [generator(*where, "mask", n) for n in batch.names])
        again = chance(self.config.self_conditioning, *where, "again")
        with self._autocast():
            trunk = self.model.trunk(batch, complete=True)
            with phase("losses"):
                settled = self.objective.settled(self.model, trunk, batch)
        # Gradients gather at the trunk's outputs: each copy's graph is freed before the next's.
        leaves, known = _leaves(trunk), _leaves(settled)
        copies = self.config.noise_copies
        for copy in range(copies):
            own = [generator(*where, "noise", name, copy) for name in batch.names]
            posed = batch
            if self.config.random_rotations:
                posed = batch.turned(random_rotations(own).to(self.device))
            noised = self.objective.noised(posed, own)
            with self._autocast():
                features = self.objective.predict(self.model, posed, noised, again, leaves)
                with phase("losses"):
                    terms = self.objective.terms(features, posed, known)
            total = self.objective.total(terms, epoch)
            if not total.isfinite().all():
                self._complain(terms, total, posed, noised)
            with phase("backward: what runs per noise level"):
                self.scaler.scale(total.sum() / (size * copies)).backward()
            totals = {
                "total": total,
                "total_fixed": self.objective.total(terms, None),
            }
            for name, each in {**terms, **totals}.items():
                losses.add_each(f"train/{name}", each)
        ends, begins = (*trunk.values(), *settled.values()), (*leaves.values(), *known.values())
        reached = [(a, b.grad) for a, b in zip(ends, begins, strict=True) if b.grad is not None]
        with phase("backward: trunk"):
            torch.autograd.backward([end for end, _ in reached], [grad for _, grad in reached])

    def _autocast(self) -> torch.autocast:
        dtype = DTYPES[self.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)

    def _update(self, health: dict[str, float]) -> int:
        """Clip and step; 1 if the gradients were not finite and nothing was done."""
        self.scaler.unscale_(self.optimizer)
        norms = gradient_norms(self.optimizer)
        health |= {f"grad_norm/{slot}": norm for slot, norm in norms.items()}
        finite = all(map(math.isfinite, norms.values()))
        if finite:
            own = generator(self.seed, self.step, "tripwire")
            stirred = self.tripwire.check(norms, self.slots, own)
            health |= {f"tripwire/{slot}": on for slot, on in stirred.items()}
            clip_gradients(self.optimizer, self.config)
            ratios = UpdateRatios(self.slots)
            self.scaler.step(self.optimizer)
            self.ema.update(self.model)
            health |= {f"update/{slot}": ratio for slot, ratio in ratios.measure().items()}
        self.scaler.update()
        return int(not finite)

    def _complain(
        self, terms: dict[str, Tensor], total: Tensor, batch: ProteinBatch, noised: Noised | None
    ) -> NoReturn:
        """Say whose loss is not finite, and where in the model that began."""
        bad = (~total.isfinite()).tolist()
        proteins = [name for name, b in zip(batch.names, bad, strict=True) if b]
        guilty = [name for name, value in terms.items() if not value.isfinite().all()]
        if not batch.backbone.isfinite().all():
            where = "; the coordinates in the batch are not finite"
        else:
            # Compiled parts would not call the hooks of their modules.
            with self._autocast(), torch.compiler.set_stance("force_eager"):
                module = first_non_finite(
                    self.model, lambda: self.objective.predict(self.model, batch, noised)
                )
            where = f"; first in module '{module}'" if module else ""
        raise _NotFiniteError(
            f"loss is not finite for {', '.join(proteins)} ({', '.join(guilty)}){where}"
        )

    def _check_gradients(self) -> None:
        """A trainable parameter that no loss reaches is a fault of the model, found at once.

        Unless it serves a port that nothing reads, which was said before the training began.
        """
        if self._checked:
            return
        excused = self.model.wiring.unused.keys()
        for path, named in trainable(self.model).items():
            for name, parameter in named:
                if parameter.grad is None and path not in excused:
                    raise MinifoldError(f"parameter '{name}' is trainable but no loss reaches it")
        self._checked = True

    def _count_skips(self, bad: int, complaint: str) -> None:
        """Tell of a step that was skipped in all processes, whichever it was that complained."""
        self.skipped = self.skipped + 1 if bad else 0
        if not bad:
            return
        if complaint := self.group.first_word(complaint):
            note(f"warning: step {self.step + 1} skipped: {complaint}")
        if self.skipped >= self.config.max_skipped:
            raise MinifoldError(
                f"{self.skipped} steps on end were not finite; the weights are those of before. "
                "Train from them (minifold train … --init-from) with --precision fp32 or a lower "
                "training.learning_rate"
            )


def _leaves(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same values at the beginning of a graph of their own, where there is a graph at all."""
    return {
        name: value.detach().requires_grad_() if value.requires_grad else value
        for name, value in values.items()
    }
