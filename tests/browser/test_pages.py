"""Pages in a browser: quiet, sortable, in two themes, readable on a phone, true to their JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from opened import DESKTOP, PHONE, Page

from minifold_core.data.dataset import open_dataset
from minifold_core.report import page as pages
from minifold_core.report.structures import superposed
from run_files import rows, write_run

pytest_plugins = ("chromium",)
pytestmark = pytest.mark.slow  # a browser starts

OpenPage = Callable[..., Page]
Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def zoo(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "zoo.html"
    result = minifold("list-models", "--html", path)
    assert result.returncode == 0, result.stderr
    return path


@pytest.fixture(scope="module")
def run(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = write_run(tmp_path_factory.mktemp("runs") / "a<b>&run", epochs=rows(12, 7))
    result = minifold("report", directory)
    assert result.returncode == 0, result.stderr
    return directory / "report.html"


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
@pytest.mark.parametrize("name", ["zoo", "run"])
def test_page_is_quiet_and_fits(
    name: str, width: int, open_page: OpenPage, request: pytest.FixtureRequest
) -> None:
    page = open_page(request.getfixturevalue(name), width)
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.assert_fits()
    page.assert_quiet()
    assert page.run(
        "[...document.querySelectorAll('.picture svg')].filter(s => s.clientWidth).length"
    )


def test_numbers_shown_are_those_of_the_json(
    zoo: Path, run: Path, open_page: OpenPage, minifold: Minifold
) -> None:
    page = open_page(zoo)
    assert page.assert_as_json() > 40
    listed = json.loads(minifold("list-models", "--json").stdout)
    assert [{k: m[k] for k in listed[0]} for m in page.data["models"]] == listed

    page = open_page(run)
    assert page.assert_as_json() > 100
    shown = json.loads(minifold("runs", "show", run.parent, "--json").stdout)
    assert {key: page.data[key] for key in shown} == shown


def test_table_sorts_by_number_with_mouse_and_keyboard(zoo: Path, open_page: OpenPage) -> None:
    page = open_page(zoo)
    before = page.column("table-versions", 0)
    assert before[:3] == ["contact", "v8", "v9"]
    page.click("#table-versions th:nth-child(5)")
    page.wait("document.querySelector('#table-versions tbody th').innerText == 'v13'")
    best = page.column("table-versions", 4)
    known = [float(cell) for cell in best if cell != "–"]
    assert known == sorted(known)
    assert best[len(known) :] == ["–"] * (len(best) - len(known))

    from selenium.webdriver.common.keys import Keys

    heading = page.driver.find_element("css selector", "#table-versions th")
    heading.send_keys(Keys.ENTER)
    page.wait("document.querySelector('#table-versions tbody th').innerText == 'contact'")
    assert page.column("table-versions", 0) == before


def test_theme_follows_the_system_until_it_is_chosen(zoo: Path, open_page: OpenPage) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page = open_page(zoo, theme="dark")
    dark = page.run(paper)
    page.click("#theme")
    light = page.run(paper)
    assert (sum(map(int, _rgb(dark))), sum(map(int, _rgb(light)))) == (20 + 23 + 26, 3 * 255)
    ink = "getComputedStyle(document.querySelector('.picture text')).fill"
    assert _rgb(page.run(ink)) == _rgb(page.run("getComputedStyle(document.body).color"))
    assert _rgb(open_page(zoo).run(paper)) == _rgb(light)


def test_every_paragraph_has_contrast(zoo: Path, run: Path, open_page: OpenPage) -> None:
    """WCAG AA: 4.5 to 1 for all text outside pictures, in both themes."""
    colours = """(() => [...new Set([...document.querySelectorAll("body *")]
        .filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()))
        .filter(e => !e.closest("svg") && e.checkVisibility({visibilityProperty: true}))
        .map(e => getComputedStyle(e).color))])()"""
    for path in (zoo, run):
        for theme in ("light", "dark"):
            page = open_page(path, theme=theme)
            paper = _luminance(_rgb(page.run("getComputedStyle(document.body).backgroundColor")))
            for colour in page.run(colours):
                pair = sorted((_luminance(_rgb(colour)), paper))
                assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (theme, colour)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with nothing but the view in three dimensions, and a name that ends scripts."""
    from jinja2 import ChoiceLoader, DictLoader

    template = (
        '{% extends "base.html" %}{% from "parts.html" import viewer %}'
        "{% block title %}View{% endblock %}"
        "{% block content %}{{ viewer(structures) }}{% endblock %}"
    )
    chains = list(open_dataset("demo").subset("validation"))[:2]
    structures = [
        superposed(
            chain,
            {
                "same": torch.from_numpy(chain.ca) + 50,
                "</script><b>": torch.from_numpy(chain.ca).flip(-1),
            },
        )
        for chain in chains
    ]
    path = tmp_path_factory.mktemp("view") / "view.html"
    environment = pages._environment()
    with pytest.MonkeyPatch.context() as patch:
        loader = ChoiceLoader([environment.loader, DictLoader({"view.html": template})])
        patch.setattr(environment, "loader", loader)
        pages.write_page(
            "view.html", {"text": "</script><script>alert(1)</script>"}, path, structures
        )
    return path


def test_structures_are_drawn_chosen_and_hidden(view: Path, open_page: OpenPage) -> None:
    page = open_page(view)
    first, second = page.run(
        "[...document.querySelectorAll('#viewer-chain option')].map(o => o.text)"
    )
    drawn = "document.getElementById('viewer').dataset.drawn"
    page.wait(f"{drawn} && {drawn} == '{first.split()[0]}'")
    assert page.data["text"] == "</script><script>alert(1)</script>"

    # All traces, without the native one, without any: fewer and fewer pixels are painted.
    painted = [_painted(page)]
    boxes = page.run("document.querySelectorAll('.viewer-bar input').length")
    for number in range(boxes):
        page.run("document.querySelectorAll('.viewer-bar input')[arguments[0]].click()", number)
        painted.append(_painted(page))
    assert boxes == 3
    assert painted[0] > 1000
    assert sorted(painted, reverse=True) == painted
    assert painted[-1] == 0

    # The wheel scrolls the page, and with Ctrl the view.
    wheel = """(ctrlKey => {
        const how = {deltaY: 9, ctrlKey, bubbles: true, cancelable: true};
        const event = new WheelEvent("wheel", how);
        return !document.querySelector("#viewer canvas").dispatchEvent(event);
    })(arguments[0])"""
    assert [page.run(wheel, ctrl) for ctrl in (False, True)] == [False, True]

    page.run("document.querySelectorAll('.viewer-bar input')[0].click()")
    page.run(
        "(c => { c.value = 1; c.dispatchEvent(new Event('change')) })"
        "(document.getElementById('viewer-chain'))"
    )
    page.wait(f"{drawn} == '{second.split()[0]}'")
    assert _painted(page) > 500
    page.width(PHONE)
    page.assert_fits()
    page.assert_quiet()


def _painted(page: Page) -> int:
    """Pixels of the view that are not transparent."""
    script = """((c) => {
        const copy = document.createElement("canvas");
        copy.width = c.width; copy.height = c.height;
        const context = copy.getContext("2d");
        context.drawImage(c, 0, 0);
        const all = context.getImageData(0, 0, c.width, c.height).data;
        let count = 0;
        for (let i = 3; i < all.length; i += 4) count += all[i] > 0;
        return count;
    })(document.querySelector("#viewer canvas"))"""
    return page.run(script)


def _rgb(text: str) -> list[str]:
    return text.partition("(")[2].rstrip(")").split(", ")[:3]


def _luminance(rgb: list[str]) -> float:
    parts = (float(part) / 255 for part in rgb)
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
