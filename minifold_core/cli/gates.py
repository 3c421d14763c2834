"""``minifold gates``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption, SizeOption
from minifold_core.cli.output import emit_json, show
from minifold_core.cli.platform import MAX_SEED, DeviceOption, choose_device, trimming
from minifold_core.console import Advance, note, progress
from minifold_core.errors import RequestError, did_you_mean

if TYPE_CHECKING:
    from minifold_core.gates.record import GateReport
    from minifold_core.recipe import Recipe


def gates(
    versions: Annotated[
        list[str], typer.Argument(metavar="VERSION...", help="Versions' ids or recipe files.")
    ],
    gate: Annotated[
        list[str] | None, typer.Option(help="g0, g1, g2, g3 or g4; repeatable. Default: all.")
    ] = None,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    size: SizeOption = "nano",
    components: Annotated[
        list[str] | None, typer.Option("--with", metavar="SLOT=COMPONENT", help="Swap a component.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    steps_one: Annotated[
        int, typer.Option(min=1, max=2000, help="Steps of g3's training, at most.")
    ] = 2000,
    steps_sixteen: Annotated[
        int, typer.Option(min=1, help="Steps of g4's training, at most.")
    ] = 1500,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the trainings are kept; default runs/gates-VERSION...."),
    ] = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of all that is drawn.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check what must hold before a large training, and say where a version stops.

    g0 scores of known structures; g1 the sampler with the truth as its network; g2 the best linear
    denoiser against its closed form; g3 one chain, and g4 sixteen chains, learned by heart by an
    ordinary training. Each of g3 and g4 is a run that a repeated call goes on with; what was found
    before is not asked again while recipe, data, seed, code, first weights and kind of device are
    the same.

    g0 to g2 take half a minute. g3 and g4 take a published version about eight minutes each on two
    cores; v15's nano needs an hour for the steps after which it passes g4 (docs/gates.md).
    """
    from minifold_core.assembly import wire
    from minifold_core.data.dataset import DEMO, open_dataset
    from minifold_core.gates.chains import gate_chains
    from minifold_core.gates.record import GATES
    from minifold_core.recipe_tree import parse_assignments

    asked = gate or list(GATES)
    for name in asked:
        if name not in GATES:
            raise RequestError(f"--gate {name}: {did_you_mean(name, GATES)}")
    swaps = {k: str(v) for k, v in parse_assignments(components or [], "--with").items()}
    changes = parse_assignments(values or [], "--set")
    loads = [partial(_load, version, size, swaps, changes) for version in versions]
    recipes = [load({}) for load in loads]
    for recipe in recipes:
        wire(recipe)
    ids = [recipe.id for recipe in recipes]
    if twice := {name for name in ids if ids.count(name) > 1}:
        raise RequestError(f"'{twice.pop()}' is asked for twice")
    dataset = open_dataset(data)
    chains = gate_chains(dataset)
    if data == DEMO:
        note(f"data: the {dataset}; choose your own with --data")

    from minifold_core.gates.runner import Setting, run_gates

    directory = out or Path("runs") / "-".join(["gates", *ids])
    setting = Setting(
        chains=chains,
        library=list(dataset),
        gates=asked,
        steps_one=steps_one,
        steps_sixteen=steps_sixteen,
        seed=seed,
        device=choose_device(device),
        data=data,
        progress=_progress,
        again=shlex.join(["minifold", *sys.argv[1:]]),
    )
    reports = []
    for recipe, load in zip(recipes, loads, strict=True):
        report = run_gates(load, directory / recipe.id, setting)
        reports.append(report)
        if not as_json:
            _show(report)
    if as_json:
        emit_json({"versions": [report.to_dict() for report in reports]})
    if not all(report.complete for report in reports):
        raise typer.Exit(1)


def _load(
    version: str,
    size: str,
    swaps: Mapping[str, str],
    changes: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Recipe:
    from minifold_core.recipe import load_recipe

    return load_recipe(version, size, dict(swaps), dict(changes) | dict(more))


@contextmanager
def _progress(what: str, total: int, done: int) -> Iterator[Advance]:
    with progress(what, total, done) as advance:
        yield trimming(advance)


def _show(report: GateReport) -> None:
    from minifold_core.gates.table import tables

    for each in tables(report):
        show(each)
    print(report.verdict)
