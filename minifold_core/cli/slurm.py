"""``minifold slurm``: a job script that trains over as many jobs of a queue as it takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from minifold_core.cli.train import train
from minifold_core.cli.training_inputs import read_inputs, read_start
from minifold_core.console import note
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic

BODY = Path(__file__).with_name("slurm_job.sh")
TIME = re.compile(r"\d+(:\d\d){0,2}|\d+-\d\d?(:\d\d){0,2}")
NAME = re.compile(r"[\w.,-]+")
INPUTS = ("version", "size", "components", "values", "data", "embeddings")
START = ("init_from", "allow_mismatch", "carry_optimizer", "encoder_from")
"""Arguments of ``train`` that tell what it reads."""


def slurm(
    version: Annotated[str, typer.Argument(help="A version's id or a recipe file.")],
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- TRAIN_OPTION", help="Options of minifold train."),
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="The queue; default the cluster's own.")
    ] = None,
    time: Annotated[
        str, typer.Option(metavar="[D-]HH:MM:SS", help="Time limit of one job.")
    ] = "24:00:00",
    gpus: Annotated[int, typer.Option(min=0, help="GPUs of one machine.")] = 1,
    signal: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="How long before the limit it saves.")
    ] = 120,
    max_failures: Annotated[
        int, typer.Option(min=1, help="Jobs in a row without progress after which it gives up.")
    ] = 3,
    out: Annotated[Path | None, typer.Option(help="File to write; default stdout.")] = None,
) -> None:
    """Write a job script for Slurm that submits itself again until training is finished.

    The first job trains, later ones resume the saved state.
    """
    directory, words = _training(version, options or [])
    if not TIME.fullmatch(time):
        raise RequestError(f"--time {time}: write it as HH:MM:SS or D-HH:MM:SS")
    if partition is not None and not NAME.fullmatch(partition):
        raise RequestError(f"--partition '{partition}' is no name of a queue")
    asked = {"partition": partition, "time": time, "signal": f"B:USR1@{signal}"}
    script = _script(directory, words, gpus, max_failures, asked)
    if out is None:
        print(script, end="")
        return
    if out.exists():
        raise ProtectedError(f"{out} exists; choose another --out")
    with atomic(out) as path:
        path.write_text(script, encoding="utf-8")
    out.chmod(out.stat().st_mode | 0o111)
    note(f"{out} trains into {directory}; next: sbatch {shlex.quote(str(out))}")


def _training(version: str, options: list[str]) -> tuple[Path, list[str]]:
    """The run directory and the words of the training, checked as far as this machine can.

    Raises:
        RequestError: an option, recipe, data or weights are wrong.
        ProtectedError: weights do not fit.
        typer's usage error: an option is unknown or out of range.
    """
    from minifold_core.training.keep import Keep
    from minifold_core.training.run import default_directories

    given = _parsed(version, options)
    recipe = read_inputs(*(given[name] for name in INPUTS)).recipe
    read_start(recipe, *(given[name] for name in START))
    Keep.parse(given["keep"])
    words = ["minifold", "train", version, *options]
    if given["run_dir"] is not None:
        return given["run_dir"], words
    directory = next(place for place in default_directories(recipe) if not place.exists())
    return directory, [*words, "--run-dir", str(directory)]


def _parsed(version: str, options: list[str]) -> dict[str, Any]:
    """What ``minifold train`` would make of its options."""
    alone = typer.Typer(add_completion=False)
    alone.command()(train)
    return get_command(alone).make_context("minifold train", [version, *options]).params


def _script(
    directory: Path, words: list[str], gpus: int, max_failures: int, asked: dict[str, Any]
) -> str:
    """The script: what Slurm reads, what the job is told, and what every job does."""
    settings = {
        "job-name": re.sub(r"[^\w.-]", "_", f"minifold-{directory.name}"),
        "dependency": "singleton",  # of this name: two jobs at a time would write one run
        "nodes": 1,
        "gpus": gpus or None,
        "open-mode": "append",
        **asked,
    }
    several = f"torchrun --standalone --nproc-per-node {gpus} --no-python".split()
    launcher = several if gpus > 1 else []
    run = str(directory)
    lines = [
        "#!/bin/bash",
        *(f"#SBATCH --{key}={value}" for key, value in settings.items() if value is not None),
        "#SBATCH --requeue",
        "",
        f"run={shlex.quote(run)}",
        f"max_failures={max_failures}",
        f"train=({shlex.join([*launcher, *words])})",
        f"resume=({shlex.join([*launcher, 'minifold', 'resume', run])})",
        "",
    ]
    return "\n".join(lines) + BODY.read_text(encoding="utf-8")
