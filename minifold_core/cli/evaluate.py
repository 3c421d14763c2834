"""``minifold evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.embeddings import EmbeddingsOption, fitting_embeddings
from minifold_core.cli.evaluation_out import check_evaluation_out, unfinished
from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import check_out
from minifold_core.cli.platform import DeviceOption, choose_device
from minifold_core.cli.sample import (
    AtOnceOption,
    EtaOption,
    GuidanceOption,
    SeedOption,
    SplitOption,
    StepsOption,
    TemperatureOption,
    WeightsArgument,
    sampling_settings,
    warn_of_guidance,
    warn_of_untrained,
)
from minifold_core.console import note, progress
from minifold_core.errors import RequestError


def evaluate(
    weights: WeightsArgument,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    split: SplitOption = "validation",
    embeddings: EmbeddingsOption = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory for structures, scores and pictures.")
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Samples per chain; a chain counts by their mean score.")
    ] = 1,
    steps: StepsOption = None,
    eta: EtaOption = None,
    guidance: GuidanceOption = None,
    temperature: TemperatureOption = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=V,V",
            help="Compare settings, such as steps=10,50; repeatable: all combinations.",
        ),
    ] = None,
    no_shuffled: Annotated[
        bool, typer.Option("--no-shuffled", help="Do not sample shuffled sequences as well.")
    ] = False,
    by_noise: Annotated[
        bool, typer.Option("--noise-levels", help="Also judge single steps by noise level.")
    ] = False,
    at_once: AtOnceOption = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Sample every chain of a split and judge the samples beside trivial predictors.

    Each chain is sampled a second time with its residues shuffled and the same noise: what the
    model owes to the sequence. A sweep leaves that out. --out gets every structure before it is
    scored, then evaluation.json, scores.csv, and for a sweep sweep.csv and a picture.

    Of a model with a confidence head, the lDDT that it expects of its samples is put beside the one
    that they have.

    A model without a denoiser, such as contact, is judged by the metrics of its recipe.

    After a stop the same command goes on: what was sampled into --out is not sampled again.
    """
    check_evaluation_out(out)
    from minifold_core.cli.evaluation_run import (
        Results,
        Sampler,
        judge_levels,
        judge_samples,
        judge_settings,
    )
    from minifold_core.comparison.notes import notes_on_weights
    from minifold_core.comparison.quantities import Trained
    from minifold_core.data.dataset import open_dataset
    from minifold_core.evaluation.figures import judge_figures
    from minifold_core.evaluation.judge import SCORED, Bench, check_library
    from minifold_core.evaluation.sweep import parse_sweep, settings_of
    from minifold_core.training.objective import build_process
    from minifold_core.weights.digest import file_sha256
    from minifold_core.weights.find import find_weights
    from minifold_core.weights.io import load_model

    fields = parse_sweep(sweep or [])
    flags = {"steps": steps, "eta": eta, "guidance": guidance, "temperature": temperature}
    for name in fields:
        if flags.get(name) is not None:
            raise RequestError(f"--{name} and --sweep {name}=... are both given; choose one")
    file = find_weights(weights)
    model, header = load_model(file)
    warn_of_untrained(str(weights), header)
    dataset = open_dataset(data)
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    embedded = fitting_embeddings(model.recipe, embeddings)
    chains = list(dataset.subset(split).with_embeddings(embedded))
    if embedded and not no_shuffled:
        note(
            "note: shuffled sequences take the rows of their embeddings along, and those still "
            "know their native neighbours: a milder control than for a model that reads residues"
        )
    chosen = choose_device(device)
    trained = Trained.of(str(weights), file, header)
    on = (chains, split, file_sha256(dataset.file.path))
    notes = list(notes_on_weights({trained.name: [trained]}, *on))
    results = Results({"weights": trained.name, "data": data, "split": split, "notes": notes}, out)
    if model.recipe.process is None and not (fields or by_noise):
        unfit = [f"--{name}" for name, value in flags.items() if value is not None]
        if unfit := unfit + ["--count"] * (count > 1):
            raise RequestError(f"{model.recipe.id} denoises nothing: leave out {', '.join(unfit)}")
        check_out(out)
        figures = judge_figures(model.to(chosen), chains, seed)
        results.add(figures.to_dict(), [figures.to_table()], figures.verdict)
        results.tell(as_json)
        return
    process = build_process(model.recipe)
    base = sampling_settings(model.recipe, steps, eta, guidance, temperature)
    settings = settings_of(fields, base, process)
    if "guidance" in fields:
        warn_of_guidance(model.recipe, [setting.config for setting in settings])
    library = dataset.library_for(split)
    check_library(chains, library)
    sampling = base.model_dump() | {"seed": seed, "count": count}
    results.found["sampling"] = sampling
    asked = sampling | {
        "weights": trained.sha256,
        "data": file_sha256(dataset.file.path),
        "split": split,
        "embeddings": file_sha256(embedded.path) if embedded else "",
        "sweep": ", ".join(sweep or []),
        "shuffled": not no_shuffled,
        "noise_levels": by_noise,
    }
    files = asked["weights"], asked["embeddings"]
    sampler = Sampler(model, count, seed, chosen, at_once, *files, out)
    with unfinished(out, asked):
        with progress("scoring the floors", SCORED) as advance:
            bench = Bench.of(chains, library, seed, advance)
        try:
            if fields:
                judge_settings(sampler, bench, settings, results)
            else:
                judge_samples(sampler, bench, base, not no_shuffled, results)
            if by_noise:
                judge_levels(sampler, bench, not no_shuffled, results)
        finally:  # what was found before a failure is told all the same
            if results.tables:
                results.tell(as_json)
