"""``minifold train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.models import SizeOption
from minifold_core.cli.platform import (
    MAX_SEED,
    DeviceOption,
    PrecisionOption,
    choose_device,
    choose_precision,
)
from minifold_core.console import note, progress


def train(
    version: Annotated[str, typer.Argument(help="A version's id or a recipe file.")],
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    size: SizeOption = "full",
    encoder_from: Annotated[
        Path | None, typer.Option(metavar="RUN|FILE", help="Weights of the frozen encoder.")
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
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after N optimizer steps.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(min=1, help="Stop after N epochs.")] = None,
    device: DeviceOption = "auto",
    precision: PrecisionOption = "auto",
    seed: Annotated[
        int, typer.Option(min=0, max=MAX_SEED, help="Seed of weights, noise and order.")
    ] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, train nothing.")
    ] = False,
) -> None:
    """Train a version, or any mix of parts, on one device."""
    from minifold_core.assembly import wire
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import parse_assignments

    swaps = {k: str(v) for k, v in parse_assignments(components or [], "--with").items()}
    recipe = load_recipe(version, size, swaps, parse_assignments(values or [], "--set"))
    wiring = wire(recipe)
    for slot in wiring.idle:
        note(f"warning: {slot} is not trained: no active loss depends on it")
    for slot, ports in wiring.unused.items():
        note(f"warning: nothing reads {', '.join(ports)} of {slot}")

    import torch

    from minifold_core.assembly import assemble
    from minifold_core.data.dataset import open_dataset
    from minifold_core.training.run import Run, default_directory, refuse_if_taken
    from minifold_core.training.trainer import Options, Trainer
    from minifold_core.weights.header import RANDOM, TRAINED
    from minifold_core.weights.io import load_slot

    directory = run_dir or default_directory(recipe)
    refuse_if_taken(directory)
    chosen = choose_device(device)
    used = choose_precision(precision, chosen)
    dataset = open_dataset(data)
    train_set = dataset.subset("train")
    validation_set = dataset.subset("validation") if dataset.splits["validation"] else None
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    if validation_set is None:
        note("warning: no validation chains; the best weights are chosen by the training loss")
    torch.manual_seed(seed)
    model = assemble(recipe)
    encoder, parents = TRAINED, {}
    if encoder_from:
        header, parents["encoder"] = load_slot(model, "encoder", encoder_from)
        encoder = header.encoder
    elif "encoder" in recipe.slots and recipe.slots["encoder"].frozen:
        encoder = RANDOM
    if encoder == RANDOM:
        note(
            "WARNING: the encoder is frozen and its weights are RANDOM: a fixed random projection\n"
            "         of the sequence. Give trained weights with --encoder-from RUN|FILE."
        )
    options = Options(chosen, used, seed, max_steps, max_epochs, encoder, data, parents)
    trainer = Trainer(model, train_set, validation_set, options)
    counts = model.parameter_counts().values()
    note(
        f"{recipe.id} ({recipe.size}): {sum(c[0] for c in counts):,} parameters, "
        f"{sum(c[1] for c in counts):,} trainable · {len(train_set)} training and "
        f"{dataset.splits['validation']} validation chains · {chosen}, {used}"
    )
    if chosen.type == "cpu" and size == "full":
        note(
            "warning: the full size takes many seconds a step on a CPU; --size nano is made for one"
        )
    if trainer.total_steps < trainer.steps_asked:
        note(
            f"warning: the recipe ends after {recipe.training.epochs} epochs; "
            "go on with --set training.epochs=N"
        )
    if dry_run:
        note("dry run: everything fits; nothing was trained or written")
        return
    environment = {"device": str(chosen), "precision": used, "seed": seed, "data": data}
    run = Run.create(directory, recipe, environment)
    with progress("training", trainer.total_steps) as advance:
        trainer.on_step = advance
        trainer.fit(run)
    note(f"run: {run.directory} · weights: {run.best.name}, {run.last.name} · curves: metrics.csv")
    split = "" if validation_set else " --split train"
    note(f"next: minifold sample {run.directory} --data {data}{split} --out samples")
