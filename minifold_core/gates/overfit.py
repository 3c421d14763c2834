"""Training on chains to be learned by heart: an ordinary run that a repeated call goes on with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import chain as joined
from pathlib import Path
from typing import Any

import torch

from minifold_core.assembly import assemble
from minifold_core.console import Advance, note
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.packwriter import write_pack
from minifold_core.data.records import Chain
from minifold_core.errors import ProtectedError
from minifold_core.gates.inputs import inputs_of
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe
from minifold_core.training.options import Options
from minifold_core.training.order import Order
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.initial import begin
from minifold_core.weights.io import load_model

Load = Callable[[Mapping[str, Any]], Recipe]
"""Reads the recipe with further values changed."""

Progress = Callable[[str, int, int], AbstractContextManager[Advance]]
"""Shows work of a name, with so many steps, of which so many are done."""


@dataclass(frozen=True)
class Overfit:
    """A training on a few chains.

    The recipe's losses, rates and schedule are as they are: its schedule, its ramps and restarts
    count epochs, and an epoch is made as long as the steps asked allow, by passing over the chains
    several times. Only patience and sampling on the way are off, which need validation chains.

    Attributes:
        recipe: what is trained.
        chains: to be learned.
        passes: over the chains, in every epoch.
        directory: of the run; the pack lies beside it.
        seed: of weights, noise and order.
        again: the command that goes on after an interruption; default ``minifold resume``.
    """

    recipe: Recipe
    chains: Sequence[Chain]
    passes: int
    directory: Path
    seed: int
    again: str = ""

    @classmethod
    def plan(
        cls,
        load: Load,
        chains: Sequence[Chain],
        steps: int,
        directory: Path,
        seed: int,
        again: str = "",
    ) -> Overfit:
        """At most ``steps`` steps, but one pass in each of the recipe's epochs at least.

        A lone chain is not repeated within a batch: as many noised states of it as the recipe has
        in a step share one pass of encoder and pair stack.
        """
        changes: dict[str, Any] = {"training.patience": 0, "training.sample_every": 0}
        config = load(changes).training
        per_step = config.batch_size * config.accumulate
        if len(chains) == 1:
            changes |= {
                "training.batch_size": 1,
                "training.accumulate": 1,
                "training.noise_copies": per_step * config.noise_copies,
            }
            per_step = 1
        per_pass = -(-len(chains) // per_step)
        passes = max(1, steps // (config.epochs * per_pass))
        plan = cls(load(changes), chains, passes, directory, seed, again)
        if plan.steps > steps:
            note(
                f"warning: {directory.name} takes {plan.steps:,} steps instead of {steps:,}: a "
                f"pass in each of {config.epochs} epochs (fewer: --set training.epochs=N)"
            )
        return plan

    @property
    def pack(self) -> Path:
        """The packed dataset that is trained on."""
        return self.directory.with_suffix(".safetensors")

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole training."""
        lengths = [len(chain) for chain in self.chains] * self.passes
        per_epoch = Order(lengths, self.recipe.training, self.seed).steps_per_epoch
        return per_epoch * self.recipe.training.epochs

    def train(self, device: torch.device, progress: Progress) -> FoldModel:
        """The trained model; what an earlier call has done is not done again.

        Raises:
            ProtectedError: the directory holds another training.
            MinifoldError: training stopped, such as for losses that are not finite.
        """
        self.check(device)
        if not self.pack.exists():
            write_pack(self.pack, list(self._copies()), [], {"gates": self._about(device)})
        run = Run(self.directory, self.again)
        data = PackedDataset.open(self.pack)
        torch.manual_seed(self.seed)
        model = assemble(self.recipe)
        options = Options(
            device=device,
            seed=self.seed,
            data=str(self.pack),
            data_path=str(self.pack.resolve()),
            data_digest=file_sha256(self.pack),
            origin=begin(model).header_fields(),
        )
        trainer = Trainer(model, data, None, options)
        if run.state.is_file():
            trainer.resume(run)
        else:
            if not self.directory.exists():
                Run.create(self.directory, self.recipe, {"device": str(device)})
            trainer.start(run)
        what = f"{self.recipe.id} {self.directory.name}"
        if done := trainer.progress.step:
            note(f"{what}: going on after step {done} of {trainer.total_steps}")
        trainer.on_epoch = lambda words: None  # an epoch is a few seconds here
        with progress(what, trainer.total_steps, done) as advance:
            trainer.on_step = advance
            trainer.fit(run)
        return load_model(run.last)[0].to(device)

    def check(self, device: torch.device) -> None:
        """Make sure that what is in the directory, if anything, is of this training.

        Raises:
            ProtectedError: it is another's.
        """
        if not self.pack.exists():
            return
        pack = PackedDataset.open(self.pack)
        recorded = pack.file.header.get("gates") or {}
        differ = [name for name, now in self._about(device).items() if recorded.get(name) != now]
        if pack.names != tuple(copy.name for copy in self._copies()):
            differ.append("steps")
        if differ:
            raise ProtectedError(
                f"{self.pack} belongs to another training, with a different {', '.join(differ)}; "
                "choose another --out, or move it and the run beside it away"
            )

    def is_of(self, figures: Mapping[str, Any]) -> bool:
        """Whether figures of a gate are those of this training, and its run is still there."""
        return figures.get("steps") == self.steps and Run(self.directory).last.is_file()

    def _about(self, device: torch.device) -> dict[str, Any]:
        """What the pack says of the training that it was written for."""
        return {"seed": self.seed} | inputs_of(self.recipe, self.chains, device)

    def _copies(self) -> Iterator[Chain]:
        """The chains again and again, each time under another name and so with other noise."""
        passes = (
            [replace(chain, name=f"{chain.name}-{number}", split="train") for chain in self.chains]
            for number in range(self.passes)
        )
        return joined.from_iterable(passes)
