"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from minifold_core.batch import ProteinBatch
from minifold_core.console import note
from minifold_core.data.batching import collate
from minifold_core.data.dataset import PackedDataset
from minifold_core.errors import MinifoldError
from minifold_core.model import FoldModel
from minifold_core.training.averages import Averages
from minifold_core.training.objective import Objective
from minifold_core.training.optim import (
    EMA,
    build_optimizer,
    clip_gradients,
    gradient_norms,
    learning_rate,
    parameters_by_slot,
    set_learning_rate,
    trainable,
)
from minifold_core.training.run import Run
from minifold_core.training.tripwire import Tripwire
from minifold_core.training.validation import validate
from minifold_core.weights.header import Header
from minifold_core.weights.io import components_of, save_weights

POOL = 8
"""Optimizer steps whose chains are sorted by length together."""


@dataclass(frozen=True)
class Options:
    """How long, where and how to train; what the recipe leaves to the user."""

    device: torch.device
    precision: str = "fp32"
    seed: int = 0
    max_steps: int | None = None
    max_epochs: int | None = None
    data: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
    """Header fields that say where the first weights came from."""


class Trainer:
    """Trains a model on a packed dataset.

    Gradients of ``accumulate`` batches are those of one large batch: every protein weighs the same
    wherever it falls. Weights that are saved and validated are the moving average.
    """

    def __init__(
        self,
        model: FoldModel,
        train_set: PackedDataset,
        validation_set: PackedDataset | None,
        options: Options,
    ) -> None:
        self.model = model.to(options.device)
        self.train_set, self.validation_set = train_set, validation_set
        self.options = options
        self.config = model.recipe.training
        self.objective = Objective.of(model.recipe)
        self.optimizer = build_optimizer(model, self.config)
        self.ema = EMA(model, self.config.ema_decay)
        self.tripwire = Tripwire(self.config.tripwire)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.step = 0
        self.best = math.inf
        self.best_epoch = 0
        self.finished = 0
        self.row: dict[str, float] = {}
        self.means = Averages()
        self.on_step: Callable[[int], None] = lambda steps: None
        model.set_checkpointing(self.config.checkpointing)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the training chains."""
        return math.ceil(len(self.train_set) / (self.config.batch_size * self.config.accumulate))

    @property
    def steps_asked(self) -> int:
        """Optimizer steps that the user asked for; without a word, the recipe's."""
        steps, epochs = self.options.max_steps, self.options.max_epochs
        limits = [steps, epochs and epochs * self.steps_per_epoch]
        given = [limit for limit in limits if limit is not None]
        return min(given) if given else self.config.epochs * self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimizer steps that this training will take: its schedule ends with the recipe's."""
        return min(self.steps_asked, self.config.epochs * self.steps_per_epoch)

    def fit(self, run: Run) -> None:
        """Train to the end and write the run; an interruption saves what there is."""
        try:
            while self.step < self.total_steps and not self._out_of_patience():
                self._epoch(self.finished + 1, run)
        except (KeyboardInterrupt, SystemExit, MinifoldError):
            partial = self.means.means()
            if partial:
                run.add_epoch({"epoch": self.finished + 1, "step": self.step} | partial)
            self._save(run.last, self.finished, {} if partial else self.row)
            note(f"stopped at step {self.step}; weights saved in {run.last}")
            raise

    def _epoch(self, epoch: int, run: Run) -> None:
        self.model.train()
        started, first = time.monotonic(), self.step
        self.means = Averages()
        for group in self._groups():
            if self.step >= self.total_steps:
                break
            run.add_step(self._optimizer_step(group, epoch))
            self.on_step(1)
        trained = time.monotonic() - started
        row: dict[str, float] = {"epoch": epoch, "step": self.step} | self.means.means()
        with self.ema.applied(self.model):
            row |= validate(self.model, self.objective, self._validation_batches(), epoch)
        row["seconds"] = time.monotonic() - started
        run.add_epoch(row)
        self.finished, self.row, self.means = epoch, row, Averages()
        score = row.get("val/total_fixed", row["train/total_fixed"])
        better = score < self.best
        if better:
            self.best, self.best_epoch = score, epoch
            self._save(run.best, epoch, row)
        self._save(run.last, epoch, row)
        # Ramps at their end: what the best is chosen by, so that the printed figures agree with it.
        train, val = row["train/total_fixed"], row.get("val/total_fixed")
        validation = "" if val is None else f" · val {val:.3f}"
        rate = (self.step - first) / trained
        note(
            f"epoch {epoch} · step {self.step}/{self.total_steps} · train {train:.3f}"
            f"{validation} · {rate:.2f} steps/s{' · new best' if better else ''}"
        )

    def _out_of_patience(self) -> bool:
        """Whether the last ``patience`` epochs brought no new best."""
        waited, patience = self.finished - self.best_epoch, self.config.patience
        if stop := bool(patience) and waited >= patience:
            note(f"stopped early: no new best in {waited} epochs (training.patience)")
        return stop

    def _optimizer_step(self, group: list[list[int]], epoch: int) -> dict[str, float]:
        """One update from several batches of chain indices; its record for ``steps.jsonl``."""
        rates = set_learning_rate(
            self.optimizer, learning_rate(self.config, self.step / self.steps_per_epoch)
        )
        self.optimizer.zero_grad(set_to_none=True)
        size = sum(len(indices) for indices in group)
        record = Averages()
        for indices in group:
            batch = self._batch(self.train_set, indices)
            terms, total = self._losses(batch, epoch)
            (total.sum() / size).backward()
            fixed = self.objective.total(terms, None)
            for name, each in {**terms, "total": total, "total_fixed": fixed}.items():
                record.add_each(f"train/{name}", each)
        if self.step == 0:
            self._check_gradients()
        norms = gradient_norms(self.optimizer)
        slots = parameters_by_slot(self.optimizer)
        stirred = self.tripwire.check(norms, slots, self.generator)
        clip_gradients(self.optimizer, self.config)
        self.optimizer.step()
        self.ema.update(self.model)
        self.step += 1
        values = record.means()
        for name, value in values.items():
            self.means.add(name, value, size)
        health = {f"lr/{slot}": rate for slot, rate in rates.items()}
        health |= {f"grad_norm/{slot}": norm for slot, norm in norms.items()}
        health |= {f"tripwire/{slot}": on for slot, on in stirred.items()}
        for name, value in health.items():
            self.means.add(name, value)
        return {"step": self.step, "epoch": epoch} | values | health

    def _losses(
        self, batch: ProteinBatch, epoch: int
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Terms and total, [B] each, at random times."""
        again = self._chance(self.config.self_conditioning)
        if self._chance(self.config.unconditional):
            batch = batch.without_condition()
        noised = self.objective.noised(batch, [self.generator] * len(batch))
        device, bf16 = self.options.device.type, self.options.precision == "bf16"
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            features = self.objective.predict(self.model, batch, noised, again)
            terms = self.objective.terms(features, batch)
        total = self.objective.total(terms, epoch)
        self._check_finite(terms, total, batch)
        return terms, total

    def _chance(self, probability: float) -> bool:
        return float(torch.rand((), generator=self.generator)) < probability

    def _check_finite(
        self, terms: dict[str, torch.Tensor], total: torch.Tensor, batch: ProteinBatch
    ) -> None:
        bad = ~torch.isfinite(total)
        if bad.any():
            proteins = [n for n, b in zip(batch.names, bad.tolist(), strict=True) if b]
            guilty = [n for n, v in terms.items() if not torch.isfinite(v).all()]
            raise MinifoldError(
                f"step {self.step + 1}: loss is not finite for {', '.join(proteins)} "
                f"({', '.join(guilty)}); try --precision fp32 or a lower training.learning_rate"
            )

    def _check_gradients(self) -> None:
        """A trainable parameter that no loss reaches is a fault of the model, found at once.

        Unless it serves a port that nothing reads, which was said before the training began.
        """
        for path, named in trainable(self.model).items():
            for name, parameter in named:
                if parameter.grad is None and path not in self.model.wiring.unused:
                    raise MinifoldError(f"parameter '{name}' is trainable but no loss reaches it")

    def _groups(self) -> Iterator[list[list[int]]]:
        """Chain indices of an epoch: steps of batches, like lengths together to pad little.

        Chains are drawn at random into pools of some steps, sorted by length within a pool, and its
        steps taken in random order.
        """
        order = torch.randperm(len(self.train_set), generator=self.generator).tolist()
        lengths = self.train_set.lengths
        size = self.config.batch_size
        per_step = size * self.config.accumulate
        pool = POOL * per_step
        for first in range(0, len(order), pool):
            drawn = sorted(order[first : first + pool], key=lengths.__getitem__)
            steps = [drawn[i : i + per_step] for i in range(0, len(drawn), per_step)]
            for k in torch.randperm(len(steps), generator=self.generator).tolist():
                yield [steps[k][i : i + size] for i in range(0, len(steps[k]), size)]

    def _validation_batches(self) -> Iterator[ProteinBatch]:
        if self.validation_set is None:
            return
        indices = self.validation_set.lengths.argsort(kind="stable").tolist()
        size = self.config.batch_size
        for start in range(0, len(indices), size):
            yield self._batch(self.validation_set, indices[start : start + size])

    def _batch(self, dataset: PackedDataset, indices: Sequence[int]) -> ProteinBatch:
        return collate([dataset[i] for i in indices]).to(self.options.device)

    def _save(self, path: Path, epoch: int, row: dict[str, float]) -> None:
        recipe = self.model.recipe
        header = Header(
            recipe=recipe.to_tables(),
            components=components_of(recipe),
            step=self.step,
            epoch=epoch,
            data=self.options.data,
            **self.options.origin,
            metrics={name: value for name, value in row.items() if name.startswith("val/")},
        )
        save_weights(path, self.ema.tensors, header)
