"""``minifold plugins``: what is installed, and whether it keeps its word.

Listing imports no torch; checking does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, show, table

if TYPE_CHECKING:
    from minifold_core.discovery import Origin, Problem

app = typer.Typer(help="List plugins, and check what they offer.", no_args_is_help=True)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List installed plugins and versions: where they come from, what they offer, their state."""
    rows = _rows()
    if as_json:
        emit_json(rows)
        return
    listing = table("plugin", "from", "offers", "ms", "state", numbers=("ms",))
    versions = table("version", "from", "module", "state")
    for row in rows:
        state = "ok" if row["ok"] else "broken"
        home = f"{row['distribution']} {row['version']}"
        if row["kind"] == "version":
            versions.add_row(row["name"], home, row["module"], state)
        else:
            took = "–" if row["load_ms"] is None else f"{row['load_ms']:.1f}"
            offers = _by_kind(row["components"])
            listing.add_row(row["name"], f"{home}\n{row['module']}", offers, took, state)
    show(listing)
    show(versions)
    for row in rows:
        for problem in row["problems"]:
            print(f"broken: {row['name']}: {problem['cause']}; {problem['mend']}")
    print("ms: time to load · next: minifold plugins check NAME")


def _by_kind(components: list[str]) -> str:
    """Components for people: ``head rg, cath; loss rg``."""
    names: dict[str, list[str]] = {}
    for kind, _, name in (key.partition("/") for key in components):
        names.setdefault(kind, []).append(name)
    return "; ".join(f"{kind} {', '.join(same)}" for kind, same in names.items()) or "–"


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A plugin, or a component such as head/rg.")],
    as_json: JsonOption = False,
) -> None:
    """Check a plugin's components, or one: ports, masks, symmetry, gradients, precision, devices.

    Exit code 1 if a check fails.
    """
    results = []
    for result in _results(name):
        results.append(result)
        if not as_json:
            passed = f"ok   {result['component']} {result['check']}: {result['result']}"
            print(passed if result["ok"] else f"FAIL {result['result']}", flush=True)
    failed = sum(not result["ok"] for result in results)
    if as_json:
        emit_json(results)
    else:
        print(f"{len(results)} checked, {failed or 'none'} failed")
    if failed:
        raise typer.Exit(1)


def _results(name: str) -> Iterator[dict[str, Any]]:
    """What keeps a plugin from loading, then every check of the components that it offers."""
    from minifold_core.discovery import find_components

    found = find_components()
    broken = [problem for problem in found.problems if problem.origin.name == name]
    for problem in broken:
        yield {"component": name, "check": "load", "ok": False, "result": str(problem)}
    if broken and all(offer.origin.name != name for offer in found.items.values()):
        return
    from minifold_core.testing import ConformanceError, cases

    for case in cases(name):
        row = {"component": case.component, "check": case.check.name}
        try:
            yield {**row, "ok": True, "result": case.run()}
        except ConformanceError as error:
            yield {**row, "ok": False, "result": str(error)}


def _rows() -> list[dict[str, Any]]:
    """Plugins, then versions, each with its problems."""
    from minifold_core import catalogue
    from minifold_core.discovery import find_components, find_versions

    plugins = find_components()
    offers: dict[Origin, list[str]] = {origin: [] for origin in plugins.load_ms}
    for key, offer in plugins.items.items():
        offers[offer.origin].append(key)
    packages = find_versions().items
    versions = {packages[name].origin: () for name in sorted(packages, key=catalogue.natural)}
    return [
        *_described("plugin", offers, plugins.problems, plugins.load_ms),
        *_described("version", versions, catalogue.problems(), {}),
    ]


def _described(
    kind: str,
    offers: Mapping[Origin, Sequence[str]],
    problems: Iterable[Problem],
    load_ms: Mapping[Origin, float],
) -> list[dict[str, Any]]:
    """One row for everything that is usable or broken."""
    causes: dict[Origin, list[dict[str, str]]] = {origin: [] for origin in offers}
    for problem in problems:
        told = {"cause": problem.cause, "mend": problem.mend}
        causes.setdefault(problem.origin, []).append(told)
    return [
        {
            "kind": kind,
            "name": origin.name,
            "distribution": origin.distribution,
            "version": origin.version,
            "module": origin.value,
            "components": list(offers.get(origin, ())),
            "load_ms": load_ms.get(origin),
            "ok": not told,
            "problems": told,
        }
        for origin, told in causes.items()
    ]
