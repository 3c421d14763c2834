"""``minifold plugins``: what is installed, and whether it keeps its word.

Listing imports no torch; checking does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json, keeps_words, show, table
from minifold_core.cli.plugins_new import new

if TYPE_CHECKING:
    from rich.table import Table

    from minifold_core.discovery import FoundPlugins, Origin, Problem

app = typer.Typer(
    help="Begin plugins, list them, and check what they offer.\n\n"
    "All that are installed are used. MINIFOLD_PLUGINS=NAME,NAME in the environment has minifold "
    "use those alone, named as in the list or as their distribution, beside its own; "
    "minifold --no-plugins uses its own alone.",
    no_args_is_help=True,
)
app.command("new")(new)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List installed plugins and versions: where they come from, what they offer, their state."""
    rows = _rows()
    if as_json:
        emit_json(rows)
        return
    tables = _tables(rows, modules=True)
    whole = all(keeps_words(made) for made in tables)
    for made in tables if whole else _tables(rows, modules=False):
        show(made)
    for row in rows:
        for problem in row["problems"]:
            print(f"broken: {row['name']}: {problem['cause']}; {problem['mend']}")
    modules = "" if whole else "modules: --json, or a wider terminal · "
    print(f"{modules}ms: time to load · next: minifold plugins check NAME")


def _tables(rows: list[dict[str, Any]], modules: bool) -> tuple[Table, Table]:
    """Plugins and versions; with ``modules``, those that they come from, never broken."""
    listing = table("plugin", *["from"] * modules, "offers", "ms", "state", numbers=("ms",))
    versions = table("version", "from", *["module"] * modules, "state")
    for row in rows:
        state = row["state"]
        home = f"{row['distribution']} {row['version']}"
        if row["kind"] == "version":
            versions.add_row(row["name"], home, *[row["module"]] * modules, state)
            continue
        took = "–" if row["load_ms"] is None else f"{row['load_ms']:.{int(row['load_ms'] < 100)}f}"
        offers = _by_kind(row["components"], row["commands"])
        listing.add_row(row["name"], *[f"{home}\n{row['module']}"] * modules, offers, took, state)
    for column in (listing.columns[1], versions.columns[2]) if modules else ():
        lines = [line for cell in column.cells for line in str(cell).splitlines()]
        column.no_wrap, column.min_width = True, max(map(len, lines))
    return listing, versions


def _by_kind(components: list[str], commands: list[str]) -> str:
    """Components and commands for people: ``head rg, cath; loss rg; command pack``."""
    names: dict[str, list[str]] = {}
    for kind, _, name in (key.partition("/") for key in components):
        names.setdefault(kind, []).append(name)
    names |= {"command": commands} if commands else {}
    return "; ".join(f"{kind} {', '.join(same)}" for kind, same in names.items()) or "–"


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A plugin, or a component such as head/rg.")],
    as_json: JsonOption = False,
) -> None:
    """Check a plugin's components, or one: ports, masks, symmetry, gradients, precision, devices.

    Exit code 1 if a check fails. Of a component that cannot be imported the others are not run.
    """
    results = []
    for result in _results(name):
        results.append(result)
        if not as_json:
            mark = "--  " if result["ok"] is None else "ok  "
            said = f"{mark} {result['component']} {result['check']}: {result['result']}"
            print(f"FAIL {result['result']}" if result["ok"] is False else said, flush=True)
    states = [result["ok"] for result in results]
    failed, left_out = states.count(False), states.count(None)
    if as_json:
        emit_json(results)
    else:
        rest = f", {left_out} not run" if left_out else ""
        print(f"{len(results) - left_out} checked, {failed or 'none'} failed{rest}")
    if failed:
        raise typer.Exit(1)


def _results(name: str) -> Iterator[dict[str, Any]]:
    """What keeps a plugin from loading, then every check of the components that it offers."""
    from minifold_core.core_needed import unmet
    from minifold_core.discovery import find_components
    from minifold_core.plugin_check import import_fault, look_closer

    found = find_components()
    used = [origin for origin in found.in_use if origin.name == name]
    broken = [problem for problem in found.problems if problem.origin.name == name]
    installed = [origin for origin in found.load_ms if origin.name == name]
    broken += [lack for origin in installed if (lack := unmet(origin))]
    broken += [closer for origin in used if (closer := look_closer(origin))]
    for problem in broken:
        yield {"component": name, "check": "load", "ok": False, "result": str(problem)}
    if (used or broken) and all(offer.origin.name != name for offer in found.items.values()):
        if not broken:
            said = "its commands can be imported, and import nothing heavy"
            yield {"component": name, "check": "load", "ok": True, "result": said}
        return
    if name not in {offer.origin.name for offer in found.items.values()} | set(found.items):
        _refuse_version(name)
    from minifold_core.testing import ConformanceError, cases

    faults: dict[str, str | None] = {}
    for case in cases(name):
        row = {"component": case.component, "check": case.check.name}
        if case.component not in faults:
            fault = faults[case.component] = import_fault(case.spec)
            if fault and not any(fault in str(problem) for problem in broken):
                yield {**row, "check": "load", "ok": False, "result": f"{case.component}: {fault}"}
        if faults[case.component]:
            yield {**row, "ok": None, "result": "not run"}
            continue
        try:
            yield {**row, "ok": True, "result": case.run()}
        except ConformanceError as error:
            yield {**row, "ok": False, "result": str(error)}


def _refuse_version(name: str) -> None:
    """Say what else to check of a version, which is no plugin.

    Raises:
        RequestError: it is the name of a version.
    """
    from minifold_core.components import slot_kind
    from minifold_core.discovery import find_versions
    from minifold_core.errors import RequestError
    from minifold_core.recipe import load_recipe

    if name not in find_versions().items:
        return
    parts = load_recipe(name).parts.items()
    components = dict.fromkeys(f"{slot_kind(path)}/{slot.spec.name}" for path, slot in parts)
    raise RequestError(
        f"'{name}' is a version; check one of its components: {', '.join(components)}. "
        f"Whether they fit together: minifold train {name} --dry-run"
    )


def _rows() -> list[dict[str, Any]]:
    """Plugins, then versions, each with its problems."""
    from minifold_core import catalogue
    from minifold_core.core_needed import unmet
    from minifold_core.discovery import find_components, find_versions
    from minifold_core.plugin_check import look_closer

    plugins = find_components()
    closer = [problem for origin in plugins.load_ms if (problem := unmet(origin))]
    closer += [problem for origin in plugins.in_use if (problem := look_closer(origin))]
    packages = find_versions().items
    versions = [packages[name].origin for name in sorted(packages, key=catalogue.natural)]
    lacking = [*catalogue.problems(), *(lack for origin in versions if (lack := unmet(origin)))]
    return [
        *_described("plugin", plugins.load_ms, [*plugins.problems, *closer], plugins.off, plugins),
        *_described("version", versions, lacking, find_versions().off),
    ]


def _described(
    kind: str,
    usable: Iterable[Origin],
    problems: Iterable[Problem],
    off: Collection[Origin],
    plugins: FoundPlugins | None = None,
) -> list[dict[str, Any]]:
    """One row for everything that is usable, broken or switched off."""
    causes: dict[Origin, list[dict[str, str]]] = {origin: [] for origin in (*usable, *off)}
    for problem in problems:
        told = {"cause": problem.cause, "mend": problem.mend}
        causes.setdefault(problem.origin, []).append(told)
    components = plugins.items.items() if plugins else ()
    commands = plugins.commands.items() if plugins else ()
    return [
        {
            "kind": kind,
            "name": origin.name,
            "distribution": origin.distribution,
            "version": origin.version,
            "module": origin.value,
            "components": [key for key, offer in components if offer.origin == origin],
            "commands": [name for name, command in commands if command.origin == origin],
            "load_ms": plugins.load_ms.get(origin) if plugins else None,
            "ok": not told,
            "state": "broken" if told else "off" if origin in off else "ok",
            "problems": told,
        }
        for origin, told in causes.items()
    ]
