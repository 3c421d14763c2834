"""What the zoo holds, for listings: versions with recipe, registry and manifest put together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from minifold_core.discovery import Problem, VersionPackage, find_components, find_versions
from minifold_core.errors import RequestError, did_you_mean
from minifold_core.manifest import counts
from minifold_core.recipe_tree import FULL, Source, read_source
from minifold_core.registry import STATUSES, entry, published_best
from minifold_core.slots import SLOTS
from minifold_core.weights.known import known_weights


def list_models(
    patterns: Sequence[str] = (),
    exclude: Sequence[str] = (),
    status: str | None = None,
    uses: str | None = None,
    has_weights: bool = False,
) -> list[dict[str, Any]]:
    """Describe the installed versions, in natural order (v8 < v9 < v10 < v11 < v11b).

    A version that cannot be described is left out; :func:`problems` says why.

    Args:
        patterns: shell patterns that an id must match one of; none means all.
        exclude: shell patterns of ids to leave out.
        status: only versions of this status.
        uses: only versions with this component in any slot.
        has_weights: only versions with weights that a name such as ``v12b:b30`` is known for.

    Returns:
        One dict per version: id, summary, status, parents, components (slot to name), parameters,
        trainable_parameters, sizes, weights, published, plugin, distribution.

    Raises:
        RequestError: an unknown status or component, or a pattern that matches no version.
    """
    if status is not None and status not in STATUSES:
        raise RequestError(f"unknown status '{status}'; {did_you_mean(status, STATUSES)}")
    packages = find_versions().items
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in packages):
            raise RequestError(f"no version matches '{pattern}'; {did_you_mean(pattern, packages)}")
    chosen = [
        name
        for name in sorted(packages, key=natural)
        if (not patterns or any(fnmatchcase(name, p) for p in patterns))
        and not any(fnmatchcase(name, p) for p in exclude)
    ]
    known = known_weights().items.values()
    rows = [
        row | {"weights": [weights.to_json() for weights in known if weights.id == name]}
        for name in chosen
        if isinstance(row := _try(packages[name]), dict)
    ]
    if uses is not None:
        _check_component(uses, rows)
    return [
        row
        for row in rows
        if (status is None or row["status"] == status)
        and (uses is None or uses in row["components"].values())
        and (not has_weights or row["weights"])
    ]


def problems() -> list[Problem]:
    """What keeps installed versions, or the user's own registry, from being found or described."""
    found = find_versions()
    broken = (_try(package) for package in found.items.values())
    return [
        *found.problems,
        *(problem for problem in broken if isinstance(problem, Problem)),
        *known_weights().problems,
    ]


@cache
def _try(package: VersionPackage) -> dict[str, Any] | Problem:
    """A version's description, or what is wrong with it."""
    try:
        return describe(package)
    except Exception as error:  # a stranger's files may hold anything
        origin = package.origin
        return Problem(origin, str(error), f"mend or uninstall {origin.distribution}")


def _check_component(name: str, rows: list[dict[str, Any]]) -> None:
    """Refuse a component that no version uses and no plugin offers."""
    used = {component for row in rows for component in row["components"].values()}
    if fill := sorted({row["components"][name] for row in rows if name in row["components"]}):
        which = f"one that fills it: {', '.join(fill)}"
        raise RequestError(f"'{name}' is a slot, and a component is asked for; name {which}")
    if name not in used:
        offered = {key.partition("/")[2] for key in find_components().items}
        if name not in offered:
            raise RequestError(f"unknown component '{name}'; {did_you_mean(name, used | offered)}")


def describe(package: VersionPackage) -> dict[str, Any]:
    """One version as ``list-models --json`` shows it, without its weights."""
    source = read_source(package.id)
    known = entry(package)
    count = counts(package, FULL)
    return {
        "id": package.id,
        "summary": known.summary,
        "status": known.status,
        "parents": list(source.lineage[-2:-1]),
        "components": components_of(source),
        "parameters": count.parameters if count else None,
        "trainable_parameters": count.trainable if count else None,
        "sizes": list(source.sizes),
        "published": published_best(package),
        "plugin": package.origin.value,
        "distribution": f"{package.origin.distribution} {package.origin.version}",
    }


def components_of(source: Source) -> dict[str, str]:
    """Slot path to component name of a merged recipe."""
    paths = {key.removesuffix(".component") for key in source.tree if key.endswith(".component")}
    order = {path: i for i, path in enumerate((*SLOTS, "heads", "process"))}
    ranked = sorted(paths, key=lambda path: (order.get(path.split(".")[0], len(order)), path))
    components = {path: source.tree[f"{path}.component"].value for path in ranked}
    for path, component in components.items():
        if not isinstance(component, str):
            raise RequestError(f"{source.id}: {path}.component = {component!r} is no name")
    return components


def natural(name: str) -> list[tuple[int, str]]:
    """A sort key that orders v8 before v10 and v11 before v11b."""
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]
