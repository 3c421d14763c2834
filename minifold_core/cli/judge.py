"""``minifold judge``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import check_out, emit_json, say, show
from minifold_core.cli.platform import MAX_SEED
from minifold_core.cli.sample import SplitOption
from minifold_core.console import note, progress
from minifold_core.results import write_csv, write_json

if TYPE_CHECKING:
    from minifold_core.data.records import Rejection
    from minifold_core.evaluation.generation.report import GenerationReport

LISTED = 5
"""Structures that cannot be judged and are named."""


def judge(
    structures: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR|FILE...",
            help="PDB, mmCIF or BinaryCIF files of any program, or directories of them.",
        ),
    ],
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    split: SplitOption = "train",
    out: Annotated[
        Path | None, typer.Option(help="Directory for judge.json, judge.csv and pictures.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of the draws.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Judge structures of any program against natural chains of their lengths.

    Angles, bonds, clashes, size, contacts, secondary structure, diversity and novelty, each beside
    what two sets of natural chains of that size differ by. Needs no weights.

    Of a directory with a samples.csv, the structures that it lists are judged.
    """
    from minifold_core.data.dataset import open_dataset
    from minifold_core.evaluation.generation.judge import judge_generation
    from minifold_core.evaluation.generation.report import DISCLAIMER
    from minifold_core.evaluation.generation.traces import read_samples

    check_out(out)
    dataset = open_dataset(data)
    natural = dataset.subset(split)
    samples, rejected = read_samples(structures)
    _warn(rejected)
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    held_out = [chain for chain in dataset if chain.split != split]
    report = judge_generation(samples, list(natural), held_out, progress, seed)
    about = {"inputs": [str(path) for path in structures], "data": data, "split": split}
    result = about | {"seed": seed} | report.to_dict() | {"left_out": [vars(r) for r in rejected]}
    if out is not None:
        _write(report, result, out, f"{len(samples)} structures and {split} chains of {data}")
    if as_json:
        emit_json(result)
        return
    show(report.to_table())
    say(report.verdict, *report.notes, DISCLAIMER)


def _warn(rejected: list[Rejection]) -> None:
    for each in rejected[:LISTED]:
        note(f"warning: {each.name} is left out: {each.detail}")
    if len(rejected) > LISTED:
        note(f"warning: and {len(rejected) - LISTED} more are left out")


def _write(report: GenerationReport, result: dict[str, Any], out: Path, about: str) -> None:
    from minifold_core.plots.generation import draw_all
    from minifold_core.plots.style import save

    write_json(out / "judge.json", result)
    write_csv(out / "judge.csv", report.rows())
    for name, figure in draw_all(report).items():
        save(figure, out / f"{name}.png", f"{name} of {about}")
    note(f"results: {out}")
