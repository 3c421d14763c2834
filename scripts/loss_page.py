"""The page docs/losses.md: what each loss measures, and what it weighs in each version."""

from __future__ import annotations

from collections.abc import Sequence

from model_pages import GENERATED, table, weight

from minifold_core.components import ComponentSpec
from minifold_core.discovery import VersionPackage, find_components
from minifold_core.recipe import load_recipe


def page(packages: Sequence[VersionPackage]) -> str:
    """Weights of all losses in all versions, then the facts of each loss."""
    recipes = [load_recipe(package.id) for package in packages]
    offered = {
        offer.spec.name: offer.spec
        for offer in find_components().items.values()
        if offer.spec.kind == "loss" and offer.origin.distribution == "minifold"
    }
    used = dict.fromkeys(name for recipe in recipes for name in recipe.losses)
    names = [*used, *sorted(offered.keys() - used)]
    rows = [
        (
            f"[{name}](#{name})",
            *(weight(r.losses[name]) if name in r.losses else "–" for r in recipes),
        )
        for name in names
    ]
    versions = [f"[{package.id}](models/{package.id}.md)" for package in packages]
    return (
        f"{GENERATED}# The losses\n\n"
        "Every loss gives one value per protein. The floor is what a prediction scores that knows\n"
        "nothing; a published value means something by how far it lies below. Published values\n"
        "are means over noise levels, and easy levels dominate them.\n\n"
        f"## Weights\n\n{table(('loss', *versions), rows)}\n"
        "–: not in the recipe; 0: switched off. Ramps are linear from epoch 0; epochs count\n"
        "from 1.\n\n" + "\n".join(section(offered[name]) for name in names)
    )


def section(spec: ComponentSpec) -> str:
    """What is known of one loss; a line says so where its config says nothing."""
    facts = spec.config_class().facts
    told = (
        [
            f"- formula: `{facts.formula}`",
            f"- unit: {facts.unit}",
            f"- floor: {facts.floor or 'not known'}",
            f"- target: {facts.target or 'not known'}",
        ]
        if facts
        else ["Its config says no more of it."]
    )
    return f"## {spec.name}\n\n{spec.summary}\n\n" + "\n".join(told) + "\n"
