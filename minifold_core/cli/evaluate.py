"""``minifold evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, show
from minifold_core.cli.platform import DeviceOption, choose_device, trimming
from minifold_core.cli.sample import (
    EtaOption,
    GuidanceOption,
    SeedOption,
    SplitOption,
    StepsOption,
    WeightsArgument,
    sampling_settings,
    save_fold,
    warn_of_random_encoder,
)
from minifold_core.console import note, progress
from minifold_core.errors import ProtectedError

if TYPE_CHECKING:
    from rich.table import Table


def evaluate(
    weights: WeightsArgument,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    split: SplitOption = "validation",
    out: Annotated[
        Path | None, typer.Option(help="Directory for the structures and evaluation.json.")
    ] = None,
    steps: StepsOption = None,
    eta: EtaOption = None,
    guidance: GuidanceOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Sample every chain of a split and judge the samples beside trivial predictors.

    A model without a denoiser, such as contact, is judged by the metrics of its recipe.
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.evaluation.judge import check_library, judge
    from minifold_core.folding import Target, fold, steps_of
    from minifold_core.weights.io import load_model

    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ProtectedError(f"--out {out} exists and is not empty; choose another directory")
    model, header = load_model(weights)
    warn_of_random_encoder(header)
    dataset = open_dataset(data)
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    chains = list(dataset.subset(split))
    about = {"weights": str(weights), "data": data, "split": split}
    if model.recipe.process is None:
        from minifold_core.evaluation.figures import judge_figures

        figures = judge_figures(model.to(choose_device(device)), chains, seed)
        _report(about | figures.to_dict(), out, as_json, figures.to_table(), figures.verdict)
        return
    settings = sampling_settings(model.recipe, steps, eta, guidance)
    # Another split, if there is one: relatives of the chains may be in their own.
    library = dataset.subset("train") if split != "train" and dataset.splits["train"] else dataset
    check_library(chains, library)
    targets = [Target.of(chain) for chain in chains]
    predicted = {}
    with progress("sampling", steps_of(targets, settings)) as advance:
        chosen = choose_device(device)
        for done in fold(
            model, targets, settings, seed=seed, device=chosen, on_step=trimming(advance)
        ):
            predicted[done.target.name] = done.coords
            if out is not None:
                save_fold(done, out / f"{done.target.stem}.pdb")
    judgement = judge(predicted, chains, library, seed)
    result = about | {"sampling": settings.model_dump() | {"seed": seed}} | judgement.to_dict()
    _report(result, out, as_json, judgement.report.to_table(), judgement.report.verdict)


def _report(
    result: dict[str, Any], out: Path | None, as_json: bool, table: Table, verdict: object
) -> None:
    """Write ``evaluation.json`` and print the result."""
    from minifold_core.files import atomic

    if out is not None:
        with atomic(out / "evaluation.json") as path:
            path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        note(f"results: {out}")
    if as_json:
        emit_json(result)
    else:
        show(table)
        print(verdict)
