"""What ``train`` and ``resume`` share: the training itself, and what is said around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from shlex import quote
from typing import TYPE_CHECKING

from minifold_core.cli.platform import trimming
from minifold_core.cli.profiling import profiled
from minifold_core.console import Advance, note, progress

if TYPE_CHECKING:
    from minifold_core.data.dataset import PackedDataset
    from minifold_core.model import FoldModel
    from minifold_core.training.options import Options
    from minifold_core.training.run import Run
    from minifold_core.training.trainer import Trainer


def announce(model: FoldModel, dataset: PackedDataset, options: Options) -> None:
    """Say in one line what will be trained on what."""
    recipe, counts = model.recipe, model.parameter_counts().values()
    note(
        f"{recipe.id} ({recipe.size}): {sum(c[0] for c in counts):,} parameters, "
        f"{sum(c[1] for c in counts):,} trainable · {dataset.splits['train']} training and "
        f"{dataset.splits['validation']} validation chains · {options.device}, {options.precision}"
    )
    if not (model.equivariant or recipe.training.random_rotations):
        name = recipe.slots["denoiser"].spec.name
        note(
            f"warning: denoiser '{name}' is not equivariant by construction, at high noise at "
            "least, and with training.random_rotations off it sees every chain in the pose of its "
            "file (v11 to v14 were made so)"
        )


@contextmanager
def _progress(trainer: Trainer) -> Iterator[Advance]:
    """Show how many of the steps are done; of a training with a limit of seconds, how many those.

    That which is shown there may end early, with the recipe's last epoch.
    """
    now, limit = trainer.progress, trainer.options.max_seconds
    if limit is None:
        with progress("training", trainer.total_steps, now.step) as advance:
            yield advance
        return
    total = ceil(limit)  # the last step may end after it
    shown = min(int(now.seconds), total)
    with progress("training, seconds", total, shown) as advance:

        def by_seconds(steps: int, words: str = "") -> None:
            nonlocal shown
            before, shown = shown, min(int(now.seconds), total)
            advance(shown - before, words)

        yield by_seconds


def train_model(
    model: FoldModel,
    dataset: PackedDataset,
    options: Options,
    enter: Callable[[Trainer], Run],
    profile: bool = False,
) -> None:
    """Train, alone or as one of torchrun's processes, and say what came of it.

    Args:
        model: with its first weights.
        dataset: its training and validation chains are used.
        options: how long and how.
        enter: puts the trainer where it begins and gives the run to write.
        profile: measure some steps and say where their time went.
    """
    from minifold_core.training.parallel import process_group
    from minifold_core.training.state import instead_of_resuming
    from minifold_core.training.trainer import Trainer

    recipe = model.recipe
    validation_set = dataset.subset("validation") if dataset.splits["validation"] else None
    with process_group(options.device) as group:
        trainer = Trainer(model, dataset.subset("train"), validation_set, options, group)
        run = enter(trainer)
        if group.size > 1:
            note(f"{group.size} processes")
        if trainer.total_steps < trainer.steps_asked:
            further = instead_of_resuming(run.directory) or "go on with"
            note(
                f"warning: the recipe ends after {recipe.training.epochs} epochs; {further} "
                "--set training.epochs=N"
            )
        elif trainer.used_up():
            note(
                f"nothing is left to do: what was asked for is done, {trainer.progress.step} "
                "steps; go further with --max-steps, --max-epochs or --max-seconds"
            )
        with ExitStack() as around:
            advance = around.enter_context(_progress(trainer))
            if profile and group.leads:
                advance = around.enter_context(profiled(advance, run.directory, options.device))
            trainer.on_step = trimming(advance)
            trainer.fit(run)
    place = quote(str(run.directory))
    note(
        f"run: {run.directory} · weights: {run.best.name}, {run.last.name} · "
        "curves: curves.png, metrics.csv"
    )
    data = f"--data {quote(options.data)}{'' if validation_set else ' --split train'}"
    data += f" --embeddings {quote(options.embeddings)}" if options.embeddings else ""
    if recipe.process:
        note(f"next: minifold sample {place} {data} --out samples")
    else:
        note(f"next: minifold evaluate {place} {data}")
