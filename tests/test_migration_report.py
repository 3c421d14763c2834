"""What a migration's report says: every tensor counted, names in few words."""

from __future__ import annotations

import math
import random
import re

from migration_helpers import edited, planned, structure
from minifold_core.cli.migration_table import migration_table
from minifold_core.weights.plan import plan_migration
from minifold_core.weights.ranges import ranges
from minifold_core.weights.report import Report


def expand(pattern: str) -> re.Pattern[str]:
    """What a pattern of ranges stands for."""

    def numbers(match: re.Match[str]) -> str:
        spans = [part.partition("-") for part in match[1].split(",")]
        return f"({'|'.join(str(n) for a, _, b in spans for n in range(int(a), int(b or a) + 1))})"

    return re.compile(re.sub(r"{([\d,-]+)}", numbers, pattern) + r"(\..*)?")


def test_ranges_stand_for_the_names_and_no_others() -> None:
    assert ranges(["d.b.0.x", "d.b.1.x", "d.b.3.x"], ["d.b.2.x"]) == ["d.b.{0-1,3}.x"]
    assert ranges(["d.b.0.x", "d.b.0.y", "d.b.1.x", "d.b.1.y"], ["d.c"]) == ["d.b"]
    assert ranges(["d.b.0.x", "d.b.1.x"], ["d.b.0.y", "d.b.1.y"]) == ["d.b.{0-1}.x"]
    assert ranges(["d.b.0.x", "e.w"], ["d.c"]) == ["d.b.0.x", "e.w"]
    chance = random.Random(3)
    names = list(structure("v13").tensors)
    for _ in range(20):
        blocks = {str(n) for n in range(8) if chance.random() < 0.5}
        word = chance.choice(["bias", "weight", "."])
        chosen = [n for n in names if word in n and blocks & set(n.split("."))]
        others = set(names) - set(chosen)
        patterns = [expand(pattern) for pattern in ranges(chosen, others)]
        assert {n for n in names if any(p.fullmatch(n) for p in patterns)} == set(chosen)


def test_the_report_counts_every_parameter_of_the_model() -> None:
    made = planned("v12b", "v14")
    report = Report.of(made)
    total = sum(math.prod(shape) for shape in made.target.tensors.values())
    assert (report.given, report.total) == (30_175_989, total)
    own = [row for row in report.rows if row.percent is not None]
    assert sum(row.parameters for row in own) == total
    assert sum(row.tensors for row in own) == len(made.target.tensors)
    assert [row.names for row in own] == [[row.slot] for row in own]
    assert report.to_json()["schema"] == 1


def test_the_table_fits_80_columns() -> None:
    from rich.console import Console

    source = edited(structure("v12b"), "module renamed")
    for made in (planned("v12b", "v13"), plan_migration(source, structure("v14"))):
        console = Console(width=80, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(migration_table(Report.of(made)))
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert "pair_stack" in text
    assert "denoiser.layers" in text
