"""``minifold ablate``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from minifold_core.cli.embeddings import EmbeddingsOption
from minifold_core.cli.models import JsonOption, SizeOption
from minifold_core.cli.output import emit_json, say, show
from minifold_core.cli.platform import MAX_SEED, DeviceOption, choose_device
from minifold_core.cli.sample import AtOnceOption, SplitOption, StepsOption
from minifold_core.console import going_on, note
from minifold_core.errors import RequestError


def ablate(
    recipes: Annotated[
        list[str],
        typer.Argument(
            metavar="RECIPE...",
            help="Versions' ids and recipe files; differences are taken from the first.",
            show_default=False,
        ),
    ],
    budget: Annotated[
        str,
        typer.Option(
            metavar="TIME|STEPS",
            help="What each training may take: 600s, 10m or 2h of training steps, or 500steps.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the ablation; named again, it goes on.")],
    seeds: Annotated[
        int, typer.Option(min=1, help="Trainings of each recipe, with seeds 0, 1, 2, ...")
    ] = 3,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    size: SizeOption = "full",
    embeddings: EmbeddingsOption = None,
    split: SplitOption = "validation",
    chains: Annotated[
        int | None, typer.Option(min=1, help="Judge on this many chains of the split; default all.")
    ] = None,
    count: Annotated[
        int, typer.Option(min=1, help="Samples of each chain and training; their mean counts.")
    ] = 1,
    steps: StepsOption = None,
    at_once: AtOnceOption = None,
    seed: Annotated[
        int,
        typer.Option(min=0, max=MAX_SEED, help="Seed of the samples, the floors and intervals."),
    ] = 0,
    device: DeviceOption = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and for how long.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train recipes under one budget, with several seeds, and judge them on the same chains.

    The trainings come one after the other: side by side they would take time from each other, and
    a budget of seconds would no longer mean the same for all. Each is a run, OUT/RECIPE/seed-N.
    Then every run's weights (moving average, last step) are sampled on the same chains from the
    same noise, with their own and with shuffled sequences, and put beside the floors: OUT/ablation
    as .md, .csv, .json and .png.

    Stopped in any way, the same command goes on: trainings that are finished stay, the one at hand
    has what is left of its budget. More recipes and more seeds may be asked for later. Data, size,
    budget, device and what a recipe says must stay, or it is refused.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RequestError(
            "ablate trains one run after the other, alone; start it without torchrun"
        )
    from minifold_core.ablation.budget import Budget
    from minifold_core.ablation.question import Question, check_question, read_entries
    from minifold_core.ablation.trainings import standing, trainings
    from minifold_core.assembly import embedding_ports
    from minifold_core.cli.ablation_run import Judging, announce, judge_all, train_all
    from minifold_core.cli.ablation_tables import plan_table, results_table
    from minifold_core.cli.embeddings import open_embeddings
    from minifold_core.cli.sample import sampling_settings
    from minifold_core.data.dataset import DEMO, open_dataset
    from minifold_core.evaluation.judge import check_library
    from minifold_core.files import check_writable
    from minifold_core.weights.digest import file_sha256

    asked = Budget.parse(budget)
    entries = read_entries(recipes, size)
    reading = [entry.label for entry in entries if embedding_ports(entry.recipe)]
    for entry in entries:
        if entry.label in reading or not reading:
            open_embeddings(entry.recipe, embeddings)
    dataset = open_dataset(data)
    if data == DEMO:
        note(f"data: the {dataset}; choose your own with --data")
    judging = Judging.of(
        dataset, split, chains, embeddings, count, steps, seed, choose_device(device), at_once
    )
    check_library(judging.chains, judging.library)
    for entry in entries:
        sampling_settings(entry.recipe, steps, None, None)
    check_writable(out, "--out")
    question = Question(
        entries=entries,
        seeds=seeds,
        budget=asked,
        data=data,
        data_digest=file_sha256(dataset.file.path),
        size=size,
        embeddings_digest=file_sha256(embeddings) if embeddings else "",
        device=judging.device.type,
    )
    before = check_question(out, question)
    planned = [(each, standing(each, asked)) for each in trainings(question, out)]
    announce(planned, question, judging)
    if dry_run:
        if as_json:
            emit_json(
                {"question": question.to_dict()}
                | {"runs": [{"run": str(t.run.directory), "standing": str(s)} for t, s in planned]}
            )
        else:
            show(plan_table(planned, asked))
        note("dry run: nothing was trained or written")
        return
    with going_on("the whole ablation"):
        failed = train_all(out, question, before, data, embeddings, device)
        results = judge_all(out, question, judging, failed)
    if as_json:
        emit_json(results)
    else:
        show(results_table(results["rows"], entries[0].label))
        say(*results["sentences"])
    note(f"results: {out}/ablation.md, .csv, .json, .png and {out}/scores.csv")
    if failed:
        raise typer.Exit(1)
