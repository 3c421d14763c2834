"""``minifold list-models`` and ``minifold show``. Neither imports torch, unless a user's own
recipe has to be built to be counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.output import emit_json, millions, table
from minifold_core.cli.output import show as show_table
from minifold_core.console import note

if TYPE_CHECKING:
    from minifold_core.discovery import VersionPackage
    from minifold_core.recipe import Recipe

SizeOption = Annotated[str, typer.Option("--size", help="Size of the model: full, nano, ...")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def list_models(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PATTERN]...", help="Ids or shell patterns such as 'v1*'."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Leave out ids that match.")] = None,
    status: Annotated[
        str | None, typer.Option(help="current, archived, superseded, experimental or planned.")
    ] = None,
    uses: Annotated[str | None, typer.Option(help="Only versions with this component.")] = None,
    has_weights: Annotated[
        bool, typer.Option("--has-weights", help="Only with weights (minifold weights list).")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the versions as a page.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of the zoo."""
    from minifold_core import catalogue

    if html:
        from minifold_core.report.page import check_target

        check_target(html)
    rows = catalogue.list_models(patterns or (), exclude or (), status, uses, has_weights)
    for problem in catalogue.problems():
        note(f"warning: left out {problem}")
    if html:
        from minifold_core.report.zoo import write_zoo

        write_zoo(rows, html)
        if not as_json:
            print(f"page: {html}")
            return
    if as_json:
        emit_json(rows)
        return
    if not rows:
        print("no version fits; minifold list-models lists all")
        return
    numbers = ("params", "best")
    listing = table("id", "status", "from", *numbers, "summary", numbers=numbers)
    for row in rows:
        published = row["published"] or {}
        listing.add_row(
            row["id"],
            row["status"],
            ", ".join(row["parents"]) or "–",
            millions(row["parameters"]),
            f"{published['val_total']:.3f}" if "val_total" in published else "–",
            row["summary"],
        )
    show_table(listing)
    print(
        "best: published validation total · next: minifold show VERSION, or\n"
        "minifold train VERSION --size nano"
    )


def show(
    version: Annotated[str, typer.Argument(help="A version's id or a recipe file.")],
    size: SizeOption = "full",
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Every value and where it comes from.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show a version: its parts, losses, training and record, or every value with its origin."""
    from minifold_core.assembly import wire
    from minifold_core.discovery import version_package
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import is_file

    recipe = load_recipe(version, size)
    wire(recipe)
    package = None if is_file(version) else version_package(version)
    if as_json:
        emit_json(_description(recipe, package, resolved))
    elif resolved:
        listing = table("key", "value", "from")
        for key, (value, origin) in recipe.values().items():
            listing.add_row(key, str(value), origin)
        show_table(listing)
    else:
        _print_summary(recipe, package, version)


def _description(recipe: Recipe, package: VersionPackage | None, resolved: bool) -> dict[str, Any]:
    from minifold_core.cli.record import record

    counts = _counts(recipe, package)
    described = {
        "id": recipe.id,
        "size": recipe.size,
        "lineage": list(recipe.lineage),
        "parameters": sum(total for total, _ in counts.values()),
        "trainable_parameters": sum(training for _, training in counts.values()),
        "slots": {
            path: {
                "component": slot.spec.name,
                "frozen": slot.frozen,
                "parameters": counts[path][0],
            }
            for path, slot in recipe.slots.items()
        },
        "losses": {name: term.table() for name, term in recipe.losses.items()},
        "training": recipe.training.model_dump(mode="json"),
        "sampling": recipe.sampling.model_dump(mode="json"),
        **record(package),
    }
    if resolved:
        described["values"] = {
            key: {"value": value, "origin": origin}
            for key, (value, origin) in recipe.values().items()
        }
    return described


def _print_summary(recipe: Recipe, package: VersionPackage | None, asked: str) -> None:
    from minifold_core.cli.record import print_record
    from minifold_core.registry import entry

    known = entry(package) if package else None
    counts = _counts(recipe, package)
    total, training = (sum(pair[i] for pair in counts.values()) for i in (0, 1))
    status = f" · {known.status}" if known else ""
    print(f"{recipe.id} ({recipe.size}){status} · {' → '.join(recipe.lineage)}")
    if known and known.summary:
        print(known.summary)
    print(f"{total:,} parameters, {training:,} trainable\n")
    parts = table("slot", "component", "parameters", "what it is", numbers=("parameters",))
    for path, slot in recipe.slots.items():
        name = f"{slot.spec.name} (frozen)" if slot.frozen else slot.spec.name
        parts.add_row(path, name, f"{counts[path][0]:,}", slot.spec.summary)
    show_table(parts)
    losses = table("loss", "weight", "what it is", numbers=("weight",))
    for name, term in recipe.active_losses.items():
        first, last = term.weight_at(0), term.final_weight
        losses.add_row(
            name, f"{first:g}" if first == last else f"{first:g} → {last:g}", term.spec.summary
        )
    show_table(losses)
    chosen = recipe.training
    print(
        f"training: {chosen.epochs} epochs, batches of {chosen.batch_size} × {chosen.accumulate}, "
        f"learning rate {chosen.learning_rate:g}"
    )
    if package:
        print_record(package)
    print(f"every value and its origin: minifold show {asked} --resolved")


def _counts(recipe: Recipe, package: VersionPackage | None) -> dict[str, tuple[int, int]]:
    """Counts by slot: a version's from its manifest, others by building without memory."""
    from minifold_core.manifest import counts

    known = counts(package, recipe.size) if package else None
    if known:
        return {path: (pair[0], pair[1]) for path, pair in known.slots.items()}
    import torch

    from minifold_core.assembly import assemble

    with torch.device("meta"):
        return assemble(recipe).parameter_counts()
