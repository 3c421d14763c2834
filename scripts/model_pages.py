"""The pages of docs/models: a version's recipe, registry entry, table, card and notes in one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minifold_core.cards import card_of
from minifold_core.discovery import VersionPackage
from minifold_core.evaluation.scores import SCORES
from minifold_core.manifest import counts
from minifold_core.recipe import LossTerm, Recipe, load_recipe
from minifold_core.recipe_schema import Ramp
from minifold_core.recipe_tree import FULL
from minifold_core.registry import entry, printed_history, published_best

FLOOR, SHUFFLED = "_floor", "_shuffled"
"""What recorded figures are called that stand beside those of the weights."""
MEANS = (
    "Means over held-out chains, sampled as the recipe says "
    "([the scores](../evaluation.md#scores)):"
)
"""What recorded figures are."""

GENERATED = "<!-- made by scripts/build_docs.py: edit its sources instead -->\n"


def index(packages: Sequence[VersionPackage]) -> str:
    """The page that lists all versions."""
    rows = []
    for package in packages:
        known, best, count = entry(package), published_best(package), counts(package, FULL)
        parents = load_recipe(package.id).lineage[-2:-1]
        rows.append(
            (
                link(package.id),
                known.status,
                ", ".join(map(link, parents)) or "–",
                f"{count.parameters / 1e6:.1f} M" if count else "–",
                f"{best['val_total']:.3f}" if best and "val_total" in best else "–",
                known.summary,
            )
        )
    return (
        f"{GENERATED}# The versions\n\n"
        "What each version is, what it changed, what was published of it, and what is wrong with\n"
        "that. A recipe keeps what a version was; its page says what is true.\n\n"
        f"{table(('version', 'status', 'from', 'parameters', 'best', 'summary'), rows)}\n"
        "best: published validation total. Totals of other terms or weights do not compare; see\n"
        "[the losses](../losses.md).\n"
    )


def page(package: VersionPackage) -> str:
    """The page of one version."""
    recipe, known, card = load_recipe(package.id), entry(package), card_of(package)
    lineage = " → ".join([*map(link, recipe.lineage[:-1]), recipe.id])
    wrong = "\n".join(f"- {fault}" for fault in card.wrong) if card else ""
    notes = package.directory / "notes.md"
    sections = {
        f"# {recipe.id}": f"{known.summary}\n\nStatus: {known.status}. Lineage: {lineage}.",
        "## Parts": parts(recipe, package),
        "## What changed": f"{card.changed if card else ''}\n\n{differences(recipe)}".strip(),
        "## Losses": losses(recipe),
        "## Published": published(package),
        "## Learned": card.learned if card else "",
        "## Wrong, in it or on the published page": wrong,
        "## Weights in the box": in_the_box(package),
        "## Train it": train(package),
    }
    body = "\n\n".join(f"{title}\n\n{text}" for title, text in sections.items() if text)
    return f"{GENERATED}{body}\n" + (f"\n{notes.read_text('utf-8')}" if notes.is_file() else "")


def parts(recipe: Recipe, package: VersionPackage) -> str:
    """The filled slots with their sizes."""
    known = counts(package, FULL)
    size = known.slots if known else {}
    rows = []
    for path, part in (recipe.parts | recipe.metrics).items():
        count = f"{size[path][0]:,}" if path in size else "–"
        name = f"{part.spec.name} (frozen)" if part.frozen else part.spec.name
        rows.append((f"`{path}`", name, count, part.spec.summary))
    listing = table(("slot", "component", "parameters", "what it is"), rows)
    if not known:
        return listing.rstrip("\n")
    return f"{listing}\n{known.parameters:,} parameters, {known.trainable:,} of them trained."


def differences(recipe: Recipe) -> str:
    """What differs from the parent value by value, defaults counted; empty without a parent."""
    if len(recipe.lineage) < 2:
        return ""
    parent = load_recipe(recipe.lineage[-2])
    before, after = values(parent), values(recipe)
    rows = [
        (f"`{key}`", before.get(key, "–"), after.get(key, "–"))
        for key in (*after, *(key for key in before if key not in after))
        if before.get(key) != after.get(key)
    ]
    return table(("value", parent.id, recipe.id), rows).rstrip("\n")


def values(recipe: Recipe) -> dict[str, str]:
    """Every value of a recipe as text, a loss weight in one piece."""
    ramps = {
        f"losses.{name}.weight": term
        for name, term in recipe.losses.items()
        if isinstance(term.weight, Ramp)
    }
    flat: dict[str, str] = {}
    for key, (value, _) in recipe.values().items():
        whole = key.rpartition(".")[0]
        flat |= {whole: weight(ramps[whole])} if whole in ramps else {key: text(value)}
    return flat


def text(value: Any) -> str:
    """A value as recipes write it, numbers without trailing zeros."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def weight(term: LossTerm) -> str:
    """A weight, its ramp written out."""
    ramp = term.weight
    if isinstance(ramp, Ramp):
        return f"{ramp.start:g} → {ramp.end:g} over {ramp.epochs} epochs"
    return f"{ramp:g}"


def losses(recipe: Recipe) -> str:
    """The losses that count."""
    rows = [
        (f"[{name}](../losses.md#{name})", weight(term), term.spec.summary)
        for name, term in recipe.active_losses.items()
    ]
    return table(("loss", "weight", "what it is"), rows).rstrip("\n")


def published(package: VersionPackage) -> str:
    """Hardware, best epoch and the table as it was printed."""
    card, rows, best = card_of(package), printed_history(package), published_best(package)
    found = [f"Trained on {card.hardware}."] if card and card.hardware else []
    if rows:
        marked = [
            [f"**{cell}**" if cell else "" for cell in row.values()]
            if row["epoch"] == str(entry(package).best_epoch)
            else list(row.values())
            for row in rows
        ]
        found += [table(list(rows[0]), marked).rstrip("\n"), "Bold: the best epoch."]
    elif best:
        found.append(table(list(best), [list(best.values())]).rstrip("\n"))
    return "\n\n".join(found) or "No figures."


def in_the_box(package: VersionPackage) -> str:
    """The weights that ship beside the recipe, as the registry has recorded them."""
    found = []
    for weights in entry(package).weights:
        if not weights.location:
            found += [f"`{package.id}:{weights.tag}`: {weights.note}.", *figures(weights.metrics)]
            found.append(f"SHA-256 `{weights.sha256}`.")
    return "\n\n".join(found)


def figures(metrics: Mapping[str, float]) -> list[str]:
    """The figures that stand beside those of shuffled sequences and of floors, if there are any."""
    rows = [
        (SCORES[name].heading, *(f"{metrics[name + of]:.3f}" for of in ("", SHUFFLED, FLOOR)))
        for name in metrics
        if name + FLOOR in metrics
    ]
    columns = ("score", "weights", "shuffled sequence", "best floor")
    return [MEANS, table(columns, rows).rstrip("\n")] if rows else []


def train(package: VersionPackage) -> str:
    """The command, and where the recipe lies."""
    name, where = package.id, f"../../versions/{package.directory.name}/recipe.toml"
    return (
        f"```\nminifold train {name} --size nano\nminifold train {name} --data PATH\n```\n\n"
        f"The first trains a narrow model on the demo set, the second [the recipe]({where})\n"
        f"at full size on your data. `minifold show {name} --resolved` lists every value and\n"
        "where it comes from."
    )


def link(name: str) -> str:
    """A link to a version's page."""
    return f"[{name}]({name}.md)"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = (columns, ["---"] * len(columns), *rows)
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
