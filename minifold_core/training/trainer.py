"""The training loop: epochs of steps, validation, and everything that a run leaves on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader

from minifold_core.batch import ProteinBatch
from minifold_core.console import Advance, note
from minifold_core.data.batching import collate
from minifold_core.data.dataset import PackedDataset
from minifold_core.errors import MinifoldError
from minifold_core.model import FoldModel
from minifold_core.phases import phase
from minifold_core.plots.curves import save_curves
from minifold_core.training.averages import Averages
from minifold_core.training.board import Board
from minifold_core.training.health import memory_in_use
from minifold_core.training.keep import Keep
from minifold_core.training.optim import learning_rate
from minifold_core.training.options import Options
from minifold_core.training.order import Order, batches
from minifold_core.training.parallel import Group
from minifold_core.training.run import Run
from minifold_core.training.state import Progress, load_state, save_state
from minifold_core.training.stepper import Stepper, StepReport
from minifold_core.training.stopping import Stop, saved_on_failure, stop_on_signals
from minifold_core.training.validation import validate
from minifold_core.training.watch import Watch
from minifold_core.weights.header import Header
from minifold_core.weights.io import components_of, plugins_of, save_weights

DRAW_EVERY = 30.0
"""Seconds between two drawings of the curves: each takes half a second."""


class Trainer:
    """Trains a model on a packed dataset.

    Gradients of several batches are those of one large batch: every protein weighs the same
    wherever it falls. Weights that are saved and validated are the moving average.
    """

    def __init__(
        self,
        model: FoldModel,
        train_set: PackedDataset,
        validation_set: PackedDataset | None,
        options: Options,
        group: Group | None = None,
    ) -> None:
        self.group = group or Group()
        if options.compile:
            model.compile_parts()
        self.stepper = Stepper(model, options.device, options.precision, options.seed, self.group)
        self.model, self.config = model, model.recipe.training
        self.train_set, self.validation_set = train_set, validation_set
        self.options, self.keep = options, Keep.parse(options.keep)
        self.order = Order(train_set.lengths.tolist(), self.config, options.seed)
        self.progress = Progress()
        self.watch = Watch.of(model, train_set, validation_set, options.seed)
        self.scores: dict[int, float] = {}
        self.drawn = 0.0
        self.board = Board(None)
        self.on_step: Advance = lambda steps, words="": None
        self.on_epoch: Callable[[str], None] = note

    @property
    def steps_asked(self) -> int:
        """Optimizer steps that the user asked for; without a word, the recipe's."""
        steps, epochs = self.options.max_steps, self.options.max_epochs
        limits = [steps, epochs and epochs * self.order.steps_per_epoch]
        given = [limit for limit in limits if limit is not None]
        return min(given) if given else self._recipe_steps

    @property
    def total_steps(self) -> int:
        """Optimizer steps that this training will take: its schedule ends with the recipe's."""
        return min(self.steps_asked, self._recipe_steps)

    def used_up(self) -> bool:
        """Whether the steps, or the seconds, that this training may take are used up."""
        if self.progress.step >= self.total_steps:
            return True
        limit = self.options.max_seconds  # clocks differ: what one process says, holds for all
        return limit is not None and bool(self.group.highest(int(self.progress.seconds >= limit)))

    @property
    def _recipe_steps(self) -> int:
        return self.config.epochs * self.order.steps_per_epoch

    def start(self, run: Run) -> None:
        """Leave a state to resume from, before the first step."""
        self._save_state(run)

    def resume(self, run: Run) -> None:
        """Go back to the run's saved state; what it logged after that is forgotten.

        Raises:
            RequestError: there is no state, or it is damaged.
            ProtectedError: it is another model's.
        """
        self.progress = load_state(run.state, self.stepper)
        self.scores = (
            run.rewind(self.progress.step, self.progress.epoch) if self.group.leads else {}
        )

    def fit(self, run: Run) -> None:
        """Train to the end and write the run.

        A signal ends it after the step in hand, with the state saved and the exit code 130 or 143.
        """
        wanted = self.options.tensorboard and self.group.leads
        board = Board(run.directory if wanted else None, self.progress.step)
        unended = self.progress.position > 0  # an epoch that was left may have no row yet
        with (
            stop_on_signals() as stop,
            board as self.board,
            saved_on_failure(run, self.progress, lambda: self._save_all(run)),
        ):
            while unended or not (self.used_up() or self._out_of_patience()):
                unended = False
                self._epoch(run, stop)
            self._draw(run)
        if stop.code:  # asked for while the end was written: whoever called must stop too
            raise SystemExit(stop.code)

    def _epoch(self, run: Run, stop: Stop) -> None:
        now = self.progress
        self.model.train()
        means = Averages.from_json(now.means)
        started = saved = time.monotonic()
        first = now.step
        steps = self.order.epoch(now.epoch)[now.position :]
        began = time.monotonic()
        for chains, loaded in zip(steps, self._loaded(steps), strict=True):
            if self.used_up():
                break
            rate = learning_rate(self.config, now.step / self.order.steps_per_epoch)
            report = self.stepper.take(loaded, len(chains), now.epoch, rate)
            now.step, now.position = now.step + 1, now.position + 1
            means.merge(report.losses)
            for name, value in report.health.items():
                if isfinite(value):  # a skipped step's norms are not, and say nothing of the others
                    means.add(name, value)
            now.means = means.to_json()
            now.seconds += time.monotonic() - began
            if self.group.leads:
                record: dict[str, float] = {"step": now.step, "epoch": now.epoch}
                record |= report.losses.means() | report.health
                run.add_step(record)
                self.board.add(now.step, record)
            self.on_step(1, self._words(report, (now.step - first) / (time.monotonic() - started)))
            if code := self.group.highest(stop.code):
                self._save_all(run)
                if self.group.leads:
                    run.add_epoch({"epoch": now.epoch, "step": now.step} | means.means())
                note(f"stopped at step {now.step}; go on with: {run.go_on}")
                raise SystemExit(code)
            if time.monotonic() - saved > self.options.save_every:
                saved = time.monotonic()
                self._save_state(run)
            began = time.monotonic()
        self._end_epoch(run, means, time.monotonic() - started, now.step - first)

    def _end_epoch(self, run: Run, means: Averages, seconds: float, steps: int) -> None:
        now, began = self.progress, time.monotonic()
        row: dict[str, float] = {"epoch": now.epoch, "step": now.step} | means.means()
        with self.stepper.ema.applied(self.model):
            row |= self._validate(now.epoch)
            row |= self._sampled(now.epoch)
        row["seconds"] = seconds + time.monotonic() - began
        # Without a finite loss in the whole epoch there is no score, and no best.
        score = row.get("val/total_fixed", row.get("train/total_fixed", inf))
        better = score < (inf if now.best is None else now.best)
        whole = now.position >= self.order.steps_per_epoch
        self.scores[now.epoch] = score
        if self.group.leads:
            run.add_epoch(row)
            self.board.add(now.step, row, "epoch/")
            if time.monotonic() - self.drawn > DRAW_EVERY:
                self._draw(run)
            self._save_epoch(run, row, better, whole)
        # Once it is written: after a full disk the resumed run writes it. An epoch that is not
        # whole has the best weights until training goes on, which judges it anew at its end.
        if better and whole:
            now.best, now.best_epoch = score, now.epoch
        # Ramps at their end: what the best is chosen by, so that the printed figures agree with it.
        validation = f" · val {score:.3f}" if "val/total_fixed" in row else ""
        self.on_epoch(
            f"epoch {now.epoch} · {self._done()} · train "
            f"{row.get('train/total_fixed', nan):.3f}{validation} · "
            f"{steps / max(seconds, 1e-9):.2f} steps/s{' · new best' if better else ''}"
        )
        if whole:
            now.epoch, now.position, now.means = now.epoch + 1, 0, {}
        self._save_state(run)

    def _done(self) -> str:
        """How much of what may be taken is taken."""
        now, limit = self.progress, self.options.max_seconds
        if limit is None:
            return f"step {now.step}/{self.total_steps}"
        return f"step {now.step} · {now.seconds:.0f}/{limit:.0f} s"

    def _words(self, report: StepReport, pace: float) -> str:
        """What a person wants to see of a step."""
        loss = report.losses.means().get("train/total", nan)
        rate = min(value for name, value in report.health.items() if name.startswith("lr/"))
        held = memory_in_use(self.options.device)
        return (
            f"epoch {self.progress.epoch} · loss {loss:.3f} · rate {rate:.1e} · "
            f"{pace:.2f} steps/s · {held:.1f} GiB"
        )

    def _draw(self, run: Run) -> None:
        if self.group.leads and run.epochs():
            save_curves(run.directory, run.directory / "curves.png")
            self.drawn = time.monotonic()

    def _out_of_patience(self) -> bool:
        """Whether the last ``patience`` epochs brought no new best."""
        waited = self.progress.epoch - 1 - self.progress.best_epoch
        if stop := bool(self.config.patience) and waited >= self.config.patience:
            note(f"stopped early: no new best in {waited} epochs (training.patience)")
        return stop

    def _loaded(self, steps: list[list[int]]) -> Iterator[Iterator[ProteinBatch]]:
        """This process's batches of each step, read ahead by workers if there are any."""
        shares = [self._batches(self.group.share(chains)) for chains in steps]
        loader = iter(
            DataLoader(
                self.train_set,  # type: ignore[arg-type]  # map-style by its methods
                batch_sampler=[indices for share in shares for indices in share],
                collate_fn=collate,
                num_workers=self.options.workers,
                pin_memory=self.options.device.type == "cuda",
            )
        )

        def fetch() -> ProteinBatch:
            with phase("wait for data"):
                batch: ProteinBatch = next(loader).to(self.options.device)
            return batch

        for share in shares:
            yield (fetch() for _ in share)

    def _batches(self, chains: list[int]) -> list[list[int]]:
        return batches(chains, self.order.lengths, self.config.batch_size, self.config.batch_tokens)

    def _validate(self, epoch: int) -> dict[str, float]:
        return self.group.merge(
            validate(self.model, self.stepper.objective, self._validation_batches(), epoch)
        ).means()

    def _sampled(self, epoch: int) -> dict[str, float]:
        """Scores of structures sampled in this epoch; a failure costs these, not the training."""
        if not self.watch or not self.group.leads or epoch % self.config.sample_every:
            return {}
        try:
            return self.watch.look(self.model, self.options.device)
        except MinifoldError as error:
            note(f"warning: no samples in epoch {epoch}: {error}")
            return {}

    def _validation_batches(self) -> Iterator[ProteinBatch]:
        if self.validation_set is None:
            return
        lengths = self.validation_set.lengths.tolist()
        chains = self.group.share(sorted(range(len(lengths)), key=lengths.__getitem__))
        for indices in batches(chains, lengths, self.config.batch_size, self.config.batch_tokens):
            yield collate([self.validation_set[i] for i in indices]).to(self.options.device)

    def _save_all(self, run: Run) -> None:
        self._save_state(run)
        if self.group.leads:
            self._save_weights(run.last, self.progress.epoch - 1, {})

    def _save_state(self, run: Run) -> None:
        if self.group.leads:
            save_state(run.state, self.stepper, self.progress, self._about())

    def _about(self) -> dict[str, Any]:
        """What :meth:`resume` needs beside the state itself."""
        options = asdict(self.options) | {"device": str(self.options.device)}
        return {"recipe": self.model.recipe.to_tables(), "options": options}

    def _save_epoch(self, run: Run, row: dict[str, float], better: bool, whole: bool) -> None:
        epoch, version = self.progress.epoch, self.model.recipe.id
        kept = self.keep.epochs(self.scores.items())
        if better and not whole and self.progress.best is not None:
            run.keep_best()
        wanted = [run.last, *[run.best] * better, *[run.epoch(version, epoch)] * (epoch in kept)]
        for path in wanted:
            self._save_weights(path, epoch, row)
        if whole:
            for old in self.scores.keys() - kept:
                run.epoch(version, old).unlink(missing_ok=True)

    def _save_weights(self, path: Path, epoch: int, row: dict[str, float]) -> None:
        recipe = self.model.recipe
        header = Header(
            recipe=recipe.to_tables(),
            components=components_of(recipe),
            plugins=plugins_of(recipe),
            step=self.progress.step,
            epoch=epoch,
            data=self.options.data,
            data_digest=self.options.data_digest,
            **self.options.origin,
            metrics={name: value for name, value in row.items() if name.startswith("val/")},
        )
        save_weights(path, self.stepper.ema.tensors, header)
