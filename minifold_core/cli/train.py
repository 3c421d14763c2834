"""``minifold train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.embeddings import EmbeddingsOption
from minifold_core.cli.fitting import announce, train_model
from minifold_core.cli.models import SizeOption
from minifold_core.cli.platform import (
    MAX_SEED,
    DeviceOption,
    PrecisionOption,
    choose_device,
    choose_precision,
)
from minifold_core.console import first_process, note

if TYPE_CHECKING:
    from minifold_core.training.trainer import Trainer
    from minifold_core.weights.initial import Migration, Start


WorkersOption = Annotated[int, typer.Option(min=0, help="Processes that read the data ahead.")]
MaxStepsOption = Annotated[int | None, typer.Option(min=1, help="Stop after N optimizer steps.")]
MaxEpochsOption = Annotated[int | None, typer.Option(min=1, help="Stop after N epochs.")]
MaxSecondsOption = Annotated[
    float | None, typer.Option(min=0.001, help="Stop after N seconds of training steps.")
]


def train(
    version: Annotated[str, typer.Argument(help="A version's id or a recipe file.")],
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    embeddings: EmbeddingsOption = None,
    size: SizeOption = "full",
    init_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN|FILE|ID:TAG", help="Start from these weights; a plan says what carries."
        ),
    ] = None,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="With --init-from: what does not fit is fresh.")
    ] = False,
    carry_optimizer: Annotated[
        bool,
        typer.Option(
            "--carry-optimizer",
            help="With --init-from: also the moments of its run's optimizer.",
        ),
    ] = False,
    encoder_from: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|FILE|ID:TAG|random",
            help="Weights of the encoder instead of the shipped ones.",
        ),
    ] = None,
    components: Annotated[
        list[str] | None, typer.Option("--with", metavar="SLOT=COMPONENT", help="Swap a component.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    run_dir: Annotated[
        Path | None, typer.Option(help="Where to write; default runs/ID-SIZE-TIME.")
    ] = None,
    max_steps: MaxStepsOption = None,
    max_epochs: MaxEpochsOption = None,
    max_seconds: MaxSecondsOption = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of weights, noise and order.")
    ] = 0,
    keep: Annotated[
        str, typer.Option(help="Epochs whose weights stay, such as 'every 5, best 3'.")
    ] = "",
    workers: WorkersOption = 0,
    compile_parts: Annotated[
        bool,
        typer.Option(
            "--compile",
            help="Translate the parts with torch.compile; meant for GPUs, no gain on a CPU.",
        ),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Print where the time of steps 4 to 8 goes.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log for TensorBoard too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, train nothing.")
    ] = False,
) -> None:
    """Train a version, or any mix of parts, on one device."""
    from minifold_core.cli.training_inputs import read_inputs, read_start

    inputs = read_inputs(version, size, components, values, data, embeddings)
    recipe, dataset, embedded = inputs.recipe, inputs.dataset, inputs.embedded

    import torch

    from minifold_core.assembly import assemble
    from minifold_core.data.dataset import DEMO
    from minifold_core.recipe_tree import FULL
    from minifold_core.training.board import check_installed
    from minifold_core.training.keep import Keep
    from minifold_core.training.options import Options
    from minifold_core.training.run import Run, refuse_if_taken
    from minifold_core.weights.digest import file_sha256
    from minifold_core.weights.initial import begin

    if run_dir and first_process():
        refuse_if_taken(run_dir)
    Keep.parse(keep)
    if tensorboard:
        check_installed()
    chosen = choose_device(device)
    used = choose_precision(precision, chosen)
    encoder, migration = read_start(
        recipe, init_from, allow_mismatch, carry_optimizer, encoder_from
    )
    torch.manual_seed(seed)
    model = assemble(recipe)
    start = begin(model, encoder, migration)
    _say_where_from(start)
    options = Options(
        device=chosen,
        precision=used,
        seed=seed,
        max_steps=max_steps,
        max_epochs=max_epochs,
        max_seconds=max_seconds,
        workers=workers,
        compile=compile_parts,
        tensorboard=tensorboard,
        keep=keep,
        data=data,
        data_path=data if data == DEMO else str(dataset.file.path.resolve()),
        data_digest=file_sha256(dataset.file.path),
        embeddings=str(embedded.path.resolve()) if embedded else "",
        embeddings_digest=file_sha256(embedded.path) if embedded else "",
        origin=start.header_fields(),
    )
    if chosen.type == "cpu" and recipe.size == FULL:
        note(
            "warning: the full size takes many seconds a step on a CPU; --size nano is made for one"
        )
    if compile_parts:
        note("torch.compile: the first steps take minutes")
    announce(model, dataset, options)
    if dry_run:
        note("dry run: everything fits; nothing was trained or written")
        return
    environment = {"device": str(chosen), "precision": used, "seed": seed, "data": data}
    if embedded:
        environment["embeddings"] = options.embeddings
        environment["embeddings_sha256"] = options.embeddings_digest

    def enter(trainer: Trainer) -> Run:
        directory = ""
        if trainer.group.leads:
            made = Run.create(run_dir, recipe, environment)
            directory = str(made.directory)
            if start.migrations:
                made.write_migration(start.migrations[-1])
        run = Run(Path(trainer.group.first_word(directory)))
        if migration and carry_optimizer:
            _carry_optimizer(migration, trainer)
        trainer.start(run)
        return run

    train_model(model, dataset, options, enter, profile)


def _carry_optimizer(migration: Migration, trainer: Trainer) -> None:
    """Take the moments of the run that the weights come from, and say if they are of another step.

    Best weights are often older than the state, which is of the last step.
    """
    from minifold_core.training.state import carry_moments

    file = migration.file
    count, step = carry_moments(file, trainer.stepper, migration.moves)
    before = file.header.step if file.header else step
    apart = "" if step == before else f", of step {step}; {file.path.name} is of step {before}"
    note(f"optimizer: moments of {count} tensors carried over{apart}")


def _say_where_from(start: Start) -> None:
    """Which slots start from which weights, and loudly if the encoder has none worth freezing."""
    from minifold_core.weights.header import RANDOM

    for path, source in start.sources.items():
        note(f"{path}: weights of {source}")
    if start.encoder == RANDOM:
        note(
            "WARNING: the encoder is frozen and its weights are RANDOM: a fixed random projection\n"
            "         of the sequence. Give trained weights with --encoder-from RUN|FILE."
        )
