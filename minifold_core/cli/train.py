"""``minifold train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from minifold_core.cli.embeddings import EmbeddingsOption, open_embeddings, widths_in_file
from minifold_core.cli.fitting import announce, train_model
from minifold_core.cli.migration_table import migration_table
from minifold_core.cli.models import SizeOption
from minifold_core.cli.platform import (
    MAX_SEED,
    DeviceOption,
    PrecisionOption,
    choose_device,
    choose_precision,
)
from minifold_core.console import first_process, note
from minifold_core.errors import RequestError

if TYPE_CHECKING:
    from minifold_core.data.dataset import PackedDataset
    from minifold_core.recipe import Recipe
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
            "--carry-optimizer", help="With --init-from RUN: also its optimizer's moments."
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
    from minifold_core.data.dataset import open_dataset
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import FULL, parse_assignments

    swaps = {k: str(v) for k, v in parse_assignments(components or [], "--with").items()}
    changes = parse_assignments(values or [], "--set")
    recipe = load_recipe(version, size, swaps, changes)
    embedded = open_embeddings(recipe, embeddings)
    if widths := widths_in_file(recipe, embedded):
        changes |= widths
        recipe = load_recipe(version, size, swaps, changes)
    dataset = open_dataset(data).with_embeddings(embedded, ("train", "validation"))
    if unlabelled := _unlabelled_losses(recipe, dataset.subset("train")):
        note(f"{', '.join(unlabelled)} off: no training chain of {data} has a CATH label")
        off = {f"losses.{name}.weight": 0.0 for name in unlabelled}
        recipe = load_recipe(version, size, swaps, changes | off)
    _check_wiring(recipe)

    import torch

    from minifold_core.assembly import assemble
    from minifold_core.data.dataset import DEMO
    from minifold_core.training.board import check_installed
    from minifold_core.training.keep import Keep
    from minifold_core.training.options import Options
    from minifold_core.training.run import Run, default_directory, refuse_if_taken
    from minifold_core.training.state import carry_moments, state_beside
    from minifold_core.training.trainer import Trainer
    from minifold_core.weights.digest import file_sha256
    from minifold_core.weights.header import RANDOM
    from minifold_core.weights.initial import begin

    directory = run_dir or default_directory(recipe)
    if first_process():
        refuse_if_taken(directory)
    Keep.parse(keep)
    if tensorboard:
        check_installed()
    chosen = choose_device(device)
    used = choose_precision(precision, chosen)
    if data == DEMO:
        note(f"data: the {dataset}; choose your own with --data")
    if not dataset.splits["validation"]:
        note("warning: no validation chains; the best weights are chosen by the training loss")
    if carry_optimizer and init_from is None:
        raise RequestError("--carry-optimizer goes with --init-from RUN")
    if carry_optimizer and init_from:
        state_beside(init_from)
    migration = _plan(recipe, init_from, allow_mismatch, encoder_from) if init_from else None
    if migration and encoder_from == RANDOM and "encoder" in migration.plan.carried:
        raise RequestError("--init-from carries the encoder over; leave --encoder-from random out")
    torch.manual_seed(seed)
    model = assemble(recipe)
    start = begin(model, encoder_from, migration)
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

    moves = migration.moves if migration and carry_optimizer else {}

    def enter(trainer: Trainer) -> Run:
        run = Run(directory)
        if trainer.group.leads:
            run = Run.create(directory, recipe, environment)
        if start.migrations and trainer.group.leads:
            run.write_migration(start.migrations[-1])
        if moves and init_from:
            carried = carry_moments(state_beside(init_from), trainer.stepper, moves)
            note(f"optimizer: moments of {carried} tensors carried over")
        trainer.start(run)
        return run

    train_model(model, dataset, options, enter, profile)


def _unlabelled_losses(recipe: Recipe, train_set: PackedDataset) -> list[str]:
    """Losses that would have nothing to learn from chains without a CATH label."""
    if train_set.has_cath:
        return []
    return [
        name
        for name, term in recipe.active_losses.items()
        if "truth.cath" in {port.name for port in term.config.needs()}
    ]


def _check_wiring(recipe: Recipe) -> None:
    """Check that the parts fit, and say which of them serve nothing."""
    from minifold_core.assembly import wire
    from minifold_core.port_advice import losses_for

    wiring = wire(recipe)
    for slot in wiring.idle:
        would = losses_for(recipe, wiring, slot)
        way = f"--set losses.{would[0]}.weight=0.1" if would else ""
        helps = f"; {' or '.join(would)} would train it ({way})" if would else ", nor would another"
        note(f"warning: {slot} is not trained: no active loss depends on it{helps}")
    for slot, ports in wiring.unused.items():
        note(f"warning: nothing that trains reads {', '.join(ports)} of {slot}")


def _plan(
    recipe: Recipe, init_from: Path, allow_mismatch: bool, encoder_from: str | None
) -> Migration:
    """Plan what carries over from a file, show it, and read its tensors.

    Raises:
        ProtectedError: the plan does not hold; nothing was changed.
    """
    from rich.console import Console

    from minifold_core.weights.file import open_weights
    from minifold_core.weights.header import RANDOM
    from minifold_core.weights.initial import Migration
    from minifold_core.weights.plan import plan_migration
    from minifold_core.weights.report import Report
    from minifold_core.weights.structure import Structure

    file = open_weights(init_from)
    file.check_hash()
    source, target = Structure.of_file(file), Structure.of_recipe(recipe)
    if source.size and source.size != recipe.size:
        note(f"warning: the file is of size '{source.size}', the model '{recipe.size}' (--size)")
    other = {"encoder": f"it comes from {encoder_from} (--encoder-from)"}
    elsewhere = other if encoder_from not in (None, RANDOM) else None
    plan = plan_migration(source, target, allow_mismatch, elsewhere)
    report = Report.of(plan, file)
    Console(stderr=True).print(migration_table(report))
    plan.check()
    return Migration(file, plan, report, file.load())


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
