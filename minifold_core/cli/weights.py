"""``minifold weights``: names for weights files, and whether the files are still what was named.

Nothing here imports torch, unless a pickle is added.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, show, table
from minifold_core.console import note

if TYPE_CHECKING:
    from minifold_core.weights.known import Known

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Name weights, and use the names: wherever a run or a weights file is taken, ID:TAG is "
        "too. Weights that ship with a version are ID:SIZE. Your own names are kept in "
        "$MINIFOLD_HOME/registry.toml, and what is fetched for them beside it; MINIFOLD_HOME is "
        "~/.minifold unless you set it."
    ),
)

TOTAL = "val/total_fixed"

NameArgument = Annotated[str, typer.Argument(metavar="ID:TAG", help="Such as v12b:b30.")]


@app.command()
def add(
    name: NameArgument,
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN|URL",
            help="A weights file, a run, or an https URL (http only for localhost).",
        ),
    ],
    words: Annotated[str, typer.Option("--note", help="What to remember of it.")] = "",
    sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="What the file's SHA-256 must be.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the name from another file.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Name a weights file; what it is and its SHA-256 are recorded, and it stays where it is.

    A URL is fetched at once, to know what it holds.
    """
    from minifold_core.weights.own import add as record

    known = record(name, source, words, sha256, replace)
    if known.remote and sha256 is None:
        note("no --sha256 was given: the file is trusted as it came; from now on it must be that")
    if as_json:
        emit_json(_row(known))
    else:
        print(f"{known.name}: {known.entry.location}")
        print(f"{_what(known)} · sha256 {known.entry.sha256}")
    note(f"next: minifold inspect {known.name}")


@app.command("list")
def list_(
    version: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="Only weights of this version.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List named weights: those that ship, those published, and your own."""
    from minifold_core.catalogue import natural
    from minifold_core.weights.known import known_weights

    found = known_weights()
    for problem in found.problems:
        note(f"warning: left out {problem}")
    every = sorted(found.items.values(), key=lambda known: natural(known.id))
    if version is not None:
        _check_version(version, {known.id for known in every})
    chosen = [known for known in every if version in (None, known.id)]
    if as_json:
        emit_json([_row(known) for known in chosen])
        return
    if not chosen:
        of = f" of {version}" if version else ""
        print(f"no weights{of} have a name; minifold weights add {version or 'ID'}:TAG FILE")
        return
    listing = table("name", "size", "origin", "MB", "measured", "note", numbers=("MB",))
    for known in chosen:
        listing.add_row(
            known.name,
            known.entry.size or "–",
            known.origin,
            f"{known.entry.bytes / 1e6:.1f}" if known.entry.bytes else "–",
            _measured(known.metrics()) or "–",
            known.entry.note,
        )
    show(listing)
    for known in chosen:
        state = "" if known.present else f" ({_gone(known)})"
        print(f"{known.name}: {known.entry.location}{state}")  # whole, to be copied


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="[ID:TAG]", help="Only these; default all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check that every named file is there and has its SHA-256. Exit code 1 if one has not.

    Nothing is fetched: a URL that was not fetched yet has no file to check.
    """
    from minifold_core.weights.known import NOT_FETCHED, OK, known_weights, lookup

    found = known_weights()
    results = []
    for known in [lookup(name)] if name else found.items.values():
        state = known.state()
        good = state in (OK, NOT_FETCHED)
        results.append({"name": known.name, "file": str(known.file), "state": state, "ok": good})
        if not as_json:
            said = "" if state == OK else f": {state}"
            print(f"{'ok  ' if good else 'FAIL'} {known.name}: {known.file}{said}", flush=True)
    problems = [] if name else found.problems
    for problem in problems:
        note(f"warning: left out {problem}")
    failed = sum(not result["ok"] for result in results)
    if as_json:
        emit_json(results)
    else:
        print(f"{len(results)} checked, {failed or 'none'} failed")
    if failed or problems:
        raise typer.Exit(1)


@app.command()
def remove(name: NameArgument, as_json: JsonOption = False) -> None:
    """Forget a name of your own. The file stays."""
    from minifold_core.weights.own import remove as forget

    known = forget(name)
    if as_json:
        emit_json(_row(known))
    else:
        stays = f"; {known.file} stays" if known.present else ""
        print(f"{known.name} is no longer a name{stays}")


def _row(known: Known) -> dict[str, Any]:
    return known.to_json() | {"metrics": known.metrics()}


def _what(known: Known) -> str:
    """Size, bytes and what was measured, as far as they are known."""
    parts = (known.entry.size, f"{known.entry.bytes / 1e6:.1f} MB", _measured(known.metrics()))
    return " · ".join(filter(None, parts))


def _measured(metrics: Mapping[str, float]) -> str:
    """The TM-score beside its floor, or else the validation total, whose unit is its losses'."""
    if "tm" in metrics:
        floor = f", floor {metrics['tm_floor']:.3f}" if "tm_floor" in metrics else ""
        return f"TM {metrics['tm']:.3f}{floor}"
    return f"val total {metrics[TOTAL]:.3f}" if TOTAL in metrics else ""


def _gone(known: Known) -> str:
    return "not fetched" if known.remote else "missing"


def _check_version(version: str, named: set[str]) -> None:
    """Refuse a version that is neither installed nor has weights."""
    from minifold_core.discovery import find_versions
    from minifold_core.errors import RequestError, did_you_mean

    every = named | set(find_versions().items)
    if version not in every:
        raise RequestError(f"unknown version '{version}'; {did_you_mean(version, every)}")
