"""The page of a comparison in a browser: verdict first, everything drawn, true to its JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from opened import DESKTOP, PHONE, Page

from minifold_core.comparison.cost import CostPlan
from minifold_core.comparison.measured import Measured, measure
from minifold_core.comparison.measuring import Plan
from minifold_core.comparison.sides import Side, read_sides
from minifold_core.comparison.static import StaticComparison
from minifold_core.data.dataset import open_dataset
from minifold_core.report.compare_page import write_comparison
from minifold_core.report.comparison_pictures import drawings
from minifold_core.results import finite
from weights_files import perturbed, save

pytest_plugins = ("chromium",)

OpenPage = Callable[..., Page]
SMALL = {"denoiser.layers": 1, "pair_stack.blocks": 1}


def written(path: Path, sides: tuple[Side, ...], measured: Measured | None) -> Path:
    data: Any = {"schema": 1, "static": StaticComparison.of(sides).to_dict()}
    data |= {"measured": measured and measured.to_dict(), "why_not_measured": None}
    write_comparison(finite(data), sides, measured, drawings(sides, measured), path)
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models with backbones, on five short chains."""
    folder = tmp_path_factory.mktemp("compared")
    for seed, name in enumerate(("one", "other")):
        model = perturbed("v14", **SMALL)
        with torch.no_grad():
            for tensor in model.denoiser.parameters():
                tensor.mul_(1 - 0.2 * seed)
        save(folder / f"{name}.safetensors", model)
    sides = read_sides([str(folder / "one.safetensors"), str(folder / "other.safetensors")])
    chains = sorted(open_dataset(), key=len)[:5]
    few = Plan(
        settings=lambda recipe: recipe.sampling.model_copy(update={"steps": 2}),
        data="demo",
        cost=CostPlan(length=30, proteins=2, rounds=1),
    )
    found = measure(sides, chains, open_dataset(), few)
    return written(folder / "compare.html", sides, found)


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three families and a user's own recipe."""
    folder = tmp_path_factory.mktemp("static")
    own = folder / "mine.toml"
    own.write_text('extends = "v13"\n[losses.bond]\nweight = 2.0\n')
    sides = read_sides(["v12b", "v13", "v10", str(own)])
    return written(folder / "compare.html", sides, None)


@pytest.mark.slow
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", ["measured", "static"])
def test_comparison_is_quiet_fits_and_shows_its_json(
    name: str, width: int, open_page: OpenPage, request: pytest.FixtureRequest
) -> None:
    page = open_page(request.getfixturevalue(name), width)
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.assert_fits()
    assert page.assert_as_json() > 100
    page.assert_quiet()
    without = """[...document.querySelectorAll("td.n")]
        .filter(cell => /[0-9]/.test(cell.textContent) && !cell.closest("#table-chains"))
        .filter(cell => !cell.dataset.json && !cell.querySelector("[data-json]"))
        .map(cell => cell.textContent)"""
    assert page.run(without) == []


@pytest.mark.slow
def test_measured_page_says_the_verdict_first_and_draws_all(
    measured: Path, open_page: OpenPage
) -> None:
    page = open_page(measured)
    sections = page.run("[...document.querySelectorAll('h2')].map(h => h.id)")
    assert sections[:3] == ["verdict", "summary", "differences"]
    (pair,) = page.data["measured"]["pairs"]
    shown = page.run("document.querySelector('.verdict').innerText")
    assert pair["verdict"]["text"] in re.sub(r"\s+", " ", shown)
    page.wait("document.getElementById('viewer').dataset.drawn")
    figures = page.run("[...document.querySelectorAll('figure')].map(f => f.id)")
    assert [name.removeprefix("figure-") for name in figures] == [
        "differences-1",
        "noise-levels",
        "ramachandran-1",
        "distances-1",
        "distances-2",
        "published",
    ]
    assert "φ (°)" in page.run("document.getElementById('figure-ramachandran-1').textContent")

    assert len(page.data["measured"]["cost"]["rows"]) == len(page.column("table-cost", 0)) > 0
    cut = "(s => s.scrollHeight - s.clientHeight)(document.querySelector('#differences ~ .scroll'))"
    assert page.run(cut) <= 1
    page.click("#table-differences-1 th:nth-child(3)")
    page.wait("document.querySelector('#table-differences-1 th[aria-sort]')")
    minus = page.column("table-differences-1", 2)
    numbers = [float(cell.replace("−", "-")) for cell in minus]
    page.wait("document.querySelector('#table-differences-1 th[aria-sort=descending]')")
    assert numbers == sorted(numbers, reverse=True)


@pytest.mark.slow
def test_static_page_tells_when_v13_passed_v12b(static: Path, open_page: OpenPage) -> None:
    page = open_page(static)
    rows = page.run(
        "[...document.querySelectorAll('#table-milestones tbody tr')]"
        ".map(r => [...r.cells].map(c => c.innerText))"
    )
    (row,) = (r for r in rows if (r[0], r[1], r[4]) == ("frame_rot", "v12b", "v13"))
    assert row[2:4] == ["0.780", "16"]
    assert row[6:8] == ["4", "34"]
    assert page.column("table-sides", 0) == ["v12b", "v13", "v10", "mine"]
