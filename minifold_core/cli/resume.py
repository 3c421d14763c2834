"""``minifold resume``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.embeddings import EmbeddingsOption, fitting_embeddings
from minifold_core.cli.fitting import announce, train_model
from minifold_core.cli.platform import choose_device
from minifold_core.cli.train import MaxEpochsOption, MaxSecondsOption, MaxStepsOption
from minifold_core.console import note
from minifold_core.errors import ProtectedError, RequestError


def resume(
    directory: Annotated[Path, typer.Argument(metavar="RUN", help="A run that was stopped.")],
    data: Annotated[
        str | None, typer.Option(help="Where the same data lie now, if they were moved.")
    ] = None,
    embeddings: EmbeddingsOption = None,
    max_steps: MaxStepsOption = None,
    max_epochs: MaxEpochsOption = None,
    max_seconds: MaxSecondsOption = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that read ahead; default as before.")
    ] = None,
    device: Annotated[str, typer.Option(help="Default: the kind it was trained on.")] = "",
) -> None:
    """Go on with a stopped training exactly where it was saved.

    On a CPU with as many threads, the weights become those of a run that was never stopped.
    """
    from minifold_core.assembly import assemble
    from minifold_core.data.dataset import DEMO, open_dataset
    from minifold_core.recipe import recipe_from_tables
    from minifold_core.training.options import Options
    from minifold_core.training.run import Run
    from minifold_core.training.state import instead_of_resuming, read_about
    from minifold_core.training.trainer import Trainer
    from minifold_core.weights.digest import file_sha256

    run = Run(directory)
    if not run.state.is_file():
        way_out = instead_of_resuming(directory) or "minifold runs list DIR finds the runs in DIR"
        raise RequestError(f"{directory} holds no {run.state.name}. {way_out}")
    about = read_about(run.state)
    recipe = recipe_from_tables(about["recipe"], str(run.state))
    saved = about["options"]
    asked = any(limit is not None for limit in (max_steps, max_epochs, max_seconds))
    options = Options(**saved | {"device": choose_device(device or saved["device"])})
    where = saved["data_path"] if data is None else data
    if data is not None and data != DEMO:
        where = str(Path(data).resolve())
    options = replace(
        options,
        workers=options.workers if workers is None else workers,
        max_steps=max_steps if asked else options.max_steps,
        max_epochs=max_epochs if asked else options.max_epochs,
        max_seconds=max_seconds if asked else options.max_seconds,
        data=data or options.data,
        data_path=where,
    )
    try:
        dataset = open_dataset(options.data_path)
    except RequestError as error:
        raise RequestError(f"{error}, or say with --data where those of {directory} lie") from None
    if file_sha256(dataset.file.path) != options.data_digest:
        raise ProtectedError(
            f"{dataset.file.path} is not the data that {directory} was trained on; "
            "give those with --data"
        )
    before = Path(options.embeddings) if options.embeddings else None
    embedded = fitting_embeddings(recipe, embeddings or before)
    if embedded:
        if file_sha256(embedded.path) != options.embeddings_digest:
            raise ProtectedError(
                f"{embedded.path} are not the embeddings that {directory} was trained on; "
                "give those with --embeddings"
            )
        options = replace(options, embeddings=str(embedded.path.resolve()))
    dataset = dataset.with_embeddings(embedded, ("train", "validation"))
    model = assemble(recipe)
    note(f"going on with {directory}")
    announce(model, dataset, options)

    def enter(trainer: Trainer) -> Run:
        trainer.resume(run)
        return run

    train_model(model, dataset, options, enter)
