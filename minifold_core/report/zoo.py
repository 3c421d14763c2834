"""The zoo as a page: a table of the versions, the family tree with cards, published curves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minifold_core.cards import card_of
from minifold_core.discovery import find_versions
from minifold_core.recipe import load_recipe
from minifold_core.recipe_diff import changes
from minifold_core.registry import history, printed_history
from minifold_core.report.figures import Picture
from minifold_core.report.page import write_page

SCHEMA = 1


@dataclass
class Node:
    """A version in the family tree.

    Attributes:
        place: of the version in the page's list.
        branches: lines of descent that leave the main one here, the oldest first.
    """

    place: int
    branches: list[list[Node]] = field(default_factory=list)


def write_zoo(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page of some versions.

    Args:
        rows: the versions, as :func:`minifold_core.catalogue.list_models` describes them.
        path: the file.

    Raises:
        MinifoldError: a card cannot be read, or the file cannot be written.
    """
    models = [_described(row) for row in rows]
    sampled = [
        value
        for model in models
        for row in model["history"]
        if isinstance(value := row.get("ddim_tm"), int | float)
    ]
    spread = {"lowest": min(sampled), "highest": max(sampled)} if sampled else None
    data = {"schema": SCHEMA, "models": models, "ddim_tm": spread}
    printed = [printed_history(find_versions().items[row["id"]]) for row in rows]
    lines = family(rows)
    write_page("zoo.html", data, path, lines=lines, printed=printed, picture=_curves(rows, lines))


def family(rows: Sequence[Mapping[str, Any]]) -> list[list[Node]]:
    """Lines of descent of the versions, the longest first; what leaves a line hangs on its nodes.

    A version goes on with the child that has the longest line after it. One whose parent is not
    among the versions begins a line.
    """
    places = {row["id"]: place for place, row in enumerate(rows)}
    children: dict[str | None, list[str]] = {}
    for row in rows:
        parent = row["parents"][0] if row["parents"] else None
        children.setdefault(parent if parent in places else None, []).append(row["id"])

    def line(name: str) -> list[Node]:
        node = Node(places[name])
        below = sorted((line(child) for child in children.get(name, ())), key=len, reverse=True)
        node.branches = below[1:]
        return [node, *(below[0] if below else ())]

    return sorted((line(root) for root in children.get(None, ())), key=len, reverse=True)


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the list with its card, its published table, and what it changed in its parent."""
    package = find_versions().items[row["id"]]
    card = card_of(package)
    changed = {}
    if row["parents"] and row["parents"][0] in find_versions().items:
        recipe = load_recipe(row["id"])
        changed = {key: c._asdict() for key, c in changes(recipe, row["parents"][0]).items()}
    return {
        **row,
        "card": card.model_dump(mode="json") if card else None,
        "history": history(package),
        "changes": changed,
    }


def _curves(rows: Sequence[Mapping[str, Any]], lines: Sequence[Sequence[Node]]) -> Picture | None:
    """The published curves of the longest line and its branches; None if nothing was published."""
    from minifold_core.comparison.published import epochs_behind
    from minifold_core.plots.published import CAPTION, draw_published, published_panels

    def places(line: Sequence[Node]) -> Iterator[int]:
        for node in line:
            yield node.place
            for branch in node.branches:
                yield from places(branch)

    members = sorted(places(lines[0])) if lines else []
    packages = [find_versions().items[rows[place]["id"]] for place in members]
    panels = published_panels(packages)
    if not panels:
        return None
    behind = epochs_behind(sorted({name for lines in panels.values() for name in lines}))
    return Picture.of(
        "published",
        "Published losses and scores by epoch, one line for each version",
        f"{CAPTION} Totals are sums of different terms and weights: they compare epochs of one "
        "version, not versions.",
        draw_published(packages, behind=behind),
        draw_published(packages, columns=2, behind=behind),
    )
