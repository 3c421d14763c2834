"""``minifold migrate`` and ``minifold inspect``: weights from version to version, and what is in
them. Neither imports torch to look at a safetensors file or to plan.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.migration_table import migration_table
from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, table
from minifold_core.cli.output import show as show_table
from minifold_core.cli.platform import MAX_SEED
from minifold_core.console import note

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.recipe import Recipe
    from minifold_core.weights.file import WeightsFile
    from minifold_core.weights.header import Header
    from minifold_core.weights.plan import Plan
    from minifold_core.weights.report import Report

MOST = 16
"""Rows of validation figures that are printed of a file."""

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE|RUN|ID:TAG", help="A weights file or a run directory.")
]


def migrate(
    source: FileArgument,
    to: Annotated[str, typer.Option(metavar="VERSION", help="A version's id or a recipe file.")],
    size: Annotated[
        str | None, typer.Option(help="Size of the new model; default: the file's.")
    ] = None,
    components: Annotated[
        list[str] | None, typer.Option("--with", metavar="SLOT=COMPONENT", help="Swap a component.")
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the recipe."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write the new weights.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Plan and write nothing.")] = False,
    allow_mismatch: Annotated[
        bool, typer.Option("--allow-mismatch", help="What does not fit starts fresh; recorded.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Prove that what carries over computes the same.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED, help="Seed of fresh weights.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Move weights to another version, and say what becomes of every tensor."""
    from minifold_core.errors import ProtectedError, RequestError
    from minifold_core.recipe import load_recipe
    from minifold_core.recipe_tree import parse_assignments
    from minifold_core.weights.file import open_weights
    from minifold_core.weights.plan import plan_migration
    from minifold_core.weights.report import Report
    from minifold_core.weights.structure import Structure

    if out is None and not dry_run:
        raise RequestError("say where to write with --out FILE, or only plan with --dry-run")
    if dry_run and verify:
        raise RequestError("--verify computes with the new weights, and --dry-run makes none")
    if out is not None and out.exists() and not dry_run:
        raise ProtectedError(f"{out} exists; choose another --out")
    swaps = {k: str(v) for k, v in parse_assignments(components or [], "--with").items()}
    file = open_weights(source)
    known = Structure.of_file(file)
    chosen = size or _size(to, known.size)
    recipe = load_recipe(to, chosen, swaps, parse_assignments(values or [], "--set"))
    target = Structure.of_recipe(recipe)
    if target.built:
        note(f"{target.label} has parts of its own, so it was built to be planned for (with torch)")
    plan = plan_migration(known, target, allow_mismatch)
    report = Report.of(plan, file)
    if dry_run or plan.faults:
        _tell(report, as_json)
        plan.check()
        note("dry run: the plan holds; nothing was written")
        return
    assert out is not None
    report = _carry_out(plan, file, recipe, report, out, seed, verify)
    _tell(report, as_json)
    note(f"weights: {out} · next: minifold inspect {out}")


def _size(to: str, size: str) -> str:
    """The file's size if the target offers it."""
    from minifold_core.recipe_tree import FULL, read_source

    return size if size in read_source(to).sizes else FULL


def _tell(report: Report, as_json: bool) -> None:
    if as_json:
        emit_json(report.to_json())
    else:
        show_table(migration_table(report))


def _carry_out(
    plan: Plan,
    file: WeightsFile,
    recipe: Recipe,
    report: Report,
    out: Path,
    seed: int,
    verify: bool,
) -> Report:
    """Build, apply, perhaps verify, and write; returns the report with what was verified."""
    import torch

    from minifold_core.assembly import assemble
    from minifold_core.weights.header import Header
    from minifold_core.weights.initial import Migration, begin
    from minifold_core.weights.io import components_of, plugins_of, save_weights

    torch.manual_seed(seed)
    model = assemble(recipe)
    tensors = file.load()
    start = begin(model, migration=Migration(file, plan, report, tensors))
    if verify:
        from minifold_core.weights.verify import verify as prove

        report = replace(report, verified=prove(plan, file, tensors, model))
    header = Header(
        recipe=recipe.to_tables(),
        components=components_of(recipe),
        plugins=plugins_of(recipe),
        **start.header_fields(),
    )
    save_weights(out, model.state_dict(), header)
    return report


def inspect(
    source: FileArgument,
    lineage: Annotated[
        bool, typer.Option("--lineage", help="Only where the weights came from.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a weights file holds and where it came from; its hash is checked."""
    from minifold_core.weights.file import open_weights

    file = open_weights(source)
    hashed = file.check_hash()
    if as_json:
        emit_json(_description(file, hashed))
        return
    if not lineage:
        _print_contents(file, hashed)
    for line in _lineage(file.header):
        show_table(line)


def _description(file: WeightsFile, hashed: bool) -> dict[str, Any]:
    header = file.header.model_dump() if file.header else {}
    slots = {
        slot: {"component": component, "tensors": n, "parameters": size, "dtypes": dtypes}
        for slot, component, n, size, dtypes in _slots(file)
    }
    return {
        "file": file.path.name,
        "bytes": file.path.stat().st_size,
        "sha256": file.sha256,
        "hash": "checked" if hashed else "none",
        "converted": list(file.converted),
        "version": header.get("recipe", {}).get("resolved", {}),
        "parameters": sum(slot["parameters"] for slot in slots.values()),
        "slots": slots,
        **header,
    }


def _slots(file: WeightsFile) -> Iterator[tuple[str, str, int, int, list[str]]]:
    """Slot, component, number of tensors and of parameters, and types, in the file's order."""
    import math

    from minifold_core.weights.structure import Structure, slot_of

    structure = Structure.of_file(file)
    made_by = file.header.components if file.header else {}
    for slot, inside in structure.slots.items():
        names = [name for name in file.tensors if slot_of(name) == slot] if slot else inside
        dtypes = sorted({file.tensors[name].dtype for name in names})
        parameters = sum(math.prod(shape) for shape in inside.values())
        yield slot, made_by.get(slot, ""), len(inside), parameters, dtypes


def _print_contents(file: WeightsFile, hashed: bool) -> None:
    header = file.header
    megabytes = file.path.stat().st_size / 1e6
    state = "hash checked" if hashed else "carries no hash"
    print(f"{file.path.name} · {megabytes:.1f} MB · {state}")
    if header:
        meta = header.recipe["resolved"]
        trained = f"step {header.step:,}, epoch {header.epoch}"
        print(f"{meta['id']} ({meta['size']}) · {trained} · encoder {header.encoder}")
    else:
        from minifold_core.weights.structure import Structure

        print("\n".join((Structure.of_file(file).label, *file.converted)))
    numbers = ("tensors", "parameters")
    listing = table("slot", "component", *numbers, "type", numbers=numbers)
    for slot, component, n, parameters, dtypes in _slots(file):
        listing.add_row(slot or "(no slot)", component, str(n), f"{parameters:,}", " ".join(dtypes))
    show_table(listing)
    if header is None:
        return
    if header.data:
        print(f"data: {header.data} {header.data_digest}".rstrip())
    for parent in dict.fromkeys(header.parents.values()):
        slots = [slot for slot, given in header.parents.items() if given == parent]
        show_table(f"{', '.join(slots)} began from the file {parent[:12]}…")
    if header.metrics:
        show_table(_metrics(header.metrics))


def _metrics(metrics: dict[str, float]) -> Table:
    """Validation figures, totals first: of all noise levels, and of each bin where there is one."""
    terms: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        term, _, level = name.removeprefix("val/").partition("@")
        terms.setdefault(term, {})[level] = value
    bins = dict.fromkeys(level for row in terms.values() for level in row if level)
    columns = ("all t", *(level.removeprefix("t") for level in bins)) if bins else ("",)
    made = table("validation", *columns, numbers=columns)
    ordered = sorted(terms, key=lambda term: not term.startswith("total"))
    for term in ordered[:MOST]:
        row = terms[term]
        made.add_row(term, *(f"{row[b]:.3f}" if b in row else "" for b in ("", *bins)))
    if len(ordered) > MOST:
        made.add_row(f"and {len(ordered) - MOST} more: --json")
    return made


def _lineage(header: Header | None) -> Iterator[str]:
    """The recipe's ancestors, then each migration that the weights went through."""
    if header is None:
        yield "lineage: unknown; a stranger's file"
        return
    yield f"recipe: {' → '.join(header.recipe['resolved']['lineage'])}"
    for move in header.migrations:
        source, target = move["source"], move["target"]
        when = f", epoch {source['epoch']}" if source.get("epoch") else ""
        fresh = [row["slot"] for row in move["rows"] if row["verdict"] == "fresh"]
        rest = f"; fresh: {', '.join(dict.fromkeys(fresh))}" if fresh else ""
        yield (
            f"weights: {source['version'] or source['label']}{when} → {target['version']}: "
            f"{100 * move['given'] / move['total']:.1f} per cent from {source['file']} "
            f"({source['sha256'][:12]}…){rest}"
        )
    if not header.migrations:
        yield "weights: trained from their own start, as far as the file knows"
