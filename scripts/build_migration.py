"""Write the tables of docs/migration.md: python scripts/build_migration.py"""

from __future__ import annotations

import re
from pathlib import Path

from minifold_core.catalogue import natural
from minifold_core.discovery import find_versions
from minifold_core.recipe import load_recipe
from minifold_core.recipe_tree import read_source
from minifold_core.weights.lineage import read_step
from minifold_core.weights.plan import Plan, plan_migration
from minifold_core.weights.report import Report
from minifold_core.weights.structure import Structure

PAGE = Path(__file__).parent.parent / "docs" / "migration.md"
SIZES = ("full", "nano")


def versions() -> list[str]:
    """The built-in versions, the oldest first."""
    found = find_versions().items.items()
    return sorted((n for n, p in found if p.origin.distribution == "minifold"), key=natural)


def outcome(plan: Plan) -> str:
    """One plan in a word or two: the share of the model that the file gives, or a refusal."""
    if plan.faults:
        return f"*{'encoder' if plan.carried == ('encoder',) else 'trunk'}*"
    report = Report.of(plan)
    share = 100 * report.given / report.total
    return "all" if report.given == report.total else f"{share:.1f} %"


def pairs(size: str) -> str:
    """The outcome of every ordered pair: from the row's version to the column's."""
    names = versions()
    known = {name: Structure.of_recipe(load_recipe(name, size)) for name in names}
    lines = [f"| {size}: from ↓ to → | " + " | ".join(names) + " |"]
    lines.append("|---" * (len(names) + 1) + "|")
    for source in names:
        cells = [
            "·" if source == target else outcome(plan_migration(known[source], known[target]))
            for target in names
        ]
        lines.append(f"| **{source}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def steps() -> str:
    """What each version says that it changed."""
    lines = ["| step | exact | changed |", "|---|---|---|"]
    for name in versions():
        step = read_step(name)
        if step:
            changed = "; ".join(f"{slot}: {why}" for slot, why in step.changed.items())
            lines.append(f"| {step.parent} → {name} | {', '.join(step.exact)} | {changed or '–'} |")
    roots = [name for name in versions() if len(read_source(name).lineage) == 1]
    return "\n".join(lines) + f"\n\nWithout a parent: {', '.join(roots)}."


def build(page: str) -> str:
    """The page with its generated parts made anew."""
    made = {f"pairs {size}": pairs(size) for size in SIZES} | {"steps": steps()}
    for name, text in made.items():
        begin, end = f"<!-- generated: {name} -->", "<!-- end -->"
        pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
        page, found = pattern.subn(lambda m, text=text: f"{m[1]}{text}\n{m[2]}", page)
        assert found == 1, name
    return page


def main() -> None:
    PAGE.write_text(build(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
