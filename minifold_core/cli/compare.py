"""``minifold compare``. Imports no torch for versions, and none until something is measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import check_out, emit_json, show
from minifold_core.cli.platform import DeviceOption
from minifold_core.cli.sample import MAX_SEED, SplitOption, StepsOption
from minifold_core.console import note, progress
from minifold_core.files import check_writable
from minifold_core.results import finite

if TYPE_CHECKING:
    from minifold_core.comparison.measured import Measured
    from minifold_core.comparison.sides import Side
    from minifold_core.comparison.static import StaticComparison

SCHEMA = 1
MEASURING = ("data", "split", "count", "steps", "seed", "device", "no_cost")
"""Options that say how to measure."""


def compare(
    context: typer.Context,
    arguments: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C]...",
            help="Versions, recipe files, weights or runs; runs of one recipe at different seeds, "
            "joined by commas, are one side.",
            show_default=False,
        ),
    ],
    size: Annotated[
        str | None,
        typer.Option(help="Size of versions and recipe files; default: that of the runs, or full."),
    ] = None,
    data: Annotated[str, typer.Option(help="A packed dataset, or the built-in 'demo'.")] = "demo",
    split: SplitOption = "validation",
    count: Annotated[int, typer.Option(min=1, help="Samples per chain and training.")] = 4,
    steps: StepsOption = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_SEED,
            help="Seed of the samples' noise, the floors and the bootstrap. Validation losses have "
            "noise of their own, always the same.",
        ),
    ] = 0,
    static_only: Annotated[
        bool, typer.Option("--static", help="Measure nothing, even where there are weights.")
    ] = False,
    no_cost: Annotated[
        bool, typer.Option("--no-cost", help="Do not time training steps and samples.")
    ] = False,
    device: DeviceOption = "auto",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the comparison as a page.")
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write its pictures, PNG and SVG.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare models: what changed, what did it cost, did it help?

    Recipes, parameters, weights that carry over and published tables are compared at once, without
    torch. Sides with weights, two or more, are then measured on the same chains with the same
    noise: validation losses, samples and costs. An existing path wins over a version's id.
    """
    from minifold_core.comparison.sides import read_sides
    from minifold_core.comparison.static import StaticComparison

    _check_targets(html, plots)
    sides = read_sides(arguments, size)
    static = StaticComparison.of(sides)
    for side in static.sides:
        if side.built:
            note(f"{side.label} has parts of its own, so it was built to be counted (with torch)")
    with_weights = [side for side in sides if side.measured]
    why = _why_not(sides, static_only)
    if not as_json:
        from minifold_core.cli.comparison_tables import print_static

        print_static(static)
    measured = None
    if len(with_weights) > 1 and not static_only:
        measured = _measure(with_weights, data, split, count, steps, seed, device, no_cost)
    elif unused := _given(context):
        note(f"warning: nothing is measured, so {', '.join(unused)} is not used")
    found = _found(static, measured, why)
    if as_json:
        emit_json(found)
    else:
        _tell(sides, measured, why)
    if html or plots:
        _draw(found, sides, measured, html, plots)


def _check_targets(html: Path | None, plots: Path | None) -> None:
    """Refuse a page or pictures that could not be written, before anything is measured."""
    if html:
        from minifold_core.report.page import check_target

        check_target(html)
        check_writable(html, "--html")
    if plots:
        check_out(plots, "--plots")
        check_writable(plots, "--plots")


def _given(context: typer.Context) -> list[str]:
    """The options about measuring that the user gave."""
    named = {name: context.get_parameter_source(name) for name in MEASURING}
    return [
        f"--{name.replace('_', '-')}"
        for name, source in named.items()
        if source and source.name == "COMMANDLINE"
    ]


def _tell(sides: Sequence[Side], measured: Measured | None, why: str) -> None:
    """Print what was measured, or why not, and what to do next."""
    from rich.console import Console

    from minifold_core.cli.comparison_tables import paragraph

    if measured:
        from minifold_core.cli.measured_tables import print_measured

        print_measured(measured)
    sentences = [f"not measured: {why}"] if why else []
    for sentence in (*sentences, f"next: {_next(sides, bool(measured))}"):
        show(paragraph(sentence, Console().width))


def _found(static: StaticComparison, measured: Measured | None, why: str) -> dict[str, Any]:
    """The result, as --json prints it."""
    return {
        "schema": SCHEMA,
        "static": static.to_dict(),
        "measured": measured and measured.to_dict(),
        "why_not_measured": why or None,
    }


def _why_not(sides: Sequence[Side], static_only: bool) -> str:
    """Why sides are not measured; empty if all are."""
    if static_only:
        return "--static"
    without = [side for side in sides if not side.measured]
    named = _named_weights(without)
    recipes = [side.label for side in without if side.argument in named]
    foreign = [side.label for side in without if any(each.weights for each in side.members)]
    none = [side.label for side in without if side.label not in (*recipes, *foreign)]
    could = len(sides) - len(foreign) - len(none)
    said = [f"no weights of {', '.join(none)}"] if none else []
    if foreign:
        said.append(f"{', '.join(foreign)} not written by minifold (minifold migrate rewrites it)")
    if could == 1:
        said.append("it takes two sides with weights")
    elif recipes:
        what = "names a recipe" if len(recipes) == 1 else "name recipes"
        asked = " ".join(quote(named.get(side.argument, side.argument)) for side in sides)
        said.append(
            f"{', '.join(recipes)} {what}; to measure, name weights: minifold compare {asked}"
        )
    return "; ".join(said)


def _named_weights(sides: Sequence[Side]) -> dict[str, str]:
    """Arguments that are versions to the name of weights of theirs, of their size if there are."""
    from minifold_core.weights.known import weights_of

    named = {}
    for side in sides:
        if side.package and not side.members and (own := weights_of(side.package.id)):
            known = own.get(side.recipe.size) or next(iter(own.values()))
            named[side.argument] = known.name
    return named


def _measure(
    sides: Sequence[Side],
    data: str,
    split: str,
    count: int,
    steps: int | None,
    seed: int,
    device: str,
    no_cost: bool,
) -> Measured:
    from minifold_core.cli.platform import choose_device, choose_precision
    from minifold_core.cli.sample import sampling_settings, warn_of_untrained
    from minifold_core.comparison.cost import CostPlan
    from minifold_core.comparison.measured import measure
    from minifold_core.comparison.measuring import Plan
    from minifold_core.data.dataset import open_dataset
    from minifold_core.weights.digest import file_sha256

    dataset = open_dataset(data)
    if data == "demo":
        note(f"data: the {dataset}; choose your own with --data")
    chains = list(dataset.subset(split))
    for member in (each for side in sides for each in side.members):
        if member.header:
            warn_of_untrained(member.name, member.header)
    chosen = choose_device(device)
    plan = Plan(
        count=count,
        seed=seed,
        device=chosen,
        precision=choose_precision("auto", chosen),
        settings=lambda recipe: sampling_settings(recipe, steps, None, None),
        cost=None if no_cost else CostPlan(),
        data=f"{data}, {split}",
        split=split,
        data_digest=file_sha256(dataset.file.path),
    )
    return measure(sides, chains, dataset.library_for(split), plan, progress)


def _draw(
    found: dict[str, Any],
    sides: Sequence[Side],
    measured: Measured | None,
    html: Path | None,
    plots: Path | None,
) -> None:
    """Write the page and the pictures."""
    from minifold_core.plots.style import FORMATS, save
    from minifold_core.report.compare_page import write_comparison
    from minifold_core.report.comparison_pictures import drawings

    drawn = drawings(sides, measured)
    if html:
        write_comparison(finite(found), sides, measured, drawn, html)
        note(f"page: {html}")
    if plots:
        for each in drawn:
            for suffix in FORMATS:
                save(each.wide, plots / f"{each.name}{suffix}", f"{each.title}. {each.caption}")
        note(f"pictures: {plots}")


def _next(sides: Sequence[Side], measured: bool) -> str:
    """The command that tells more."""
    from minifold_core.recipe_tree import training_command

    untrained = next((side.argument for side in sides if not side.members), None)
    if measured or untrained is None:
        side = next(side for side in sides if side.members)
        asks = ", which asks whether it reads the sequence" if side.recipe.process else ""
        return f"minifold evaluate {quote(side.members[0].name)}{asks}"
    return (
        f"minifold show {quote(untrained)} --resolved; or train what you compare, three seeds or "
        f"more a side ({training_command(untrained)} --seed 0), and compare the runs"
    )
