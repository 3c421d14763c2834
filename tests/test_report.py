"""Pages without a browser: safe, whole, protected, and made of what is vendored."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from minifold_core.comparison.published import epochs_behind
from minifold_core.discovery import find_versions
from minifold_core.plots.curve_looks import COLOURS
from minifold_core.plots.curves import draw_curves
from minifold_core.plots.published import draw_published
from minifold_core.report.figures import dark, inline_svg
from minifold_core.report.page import HERE, embedded
from minifold_core.report.zoo import family
from minifold_core.runs import read_run
from run_files import rows, write_run

Minifold = Callable[..., subprocess.CompletedProcess[str]]
VENDORED = HERE / "assets" / "vendored"


def test_vendored_files_are_those_that_are_listed() -> None:
    lines = (VENDORED / "VENDORED.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    listed = {row[0]: row[-1] for row in table[2:]}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDORED.iterdir()
        if path.name != "VENDORED.md"
    }
    assert found == listed


def test_embedded_json_ends_no_script() -> None:
    value = {"a": "</script><!-- \u2028 & <b>", "b": [1.5, None]}
    text = embedded(value)
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == value
    with pytest.raises(ValueError, match="JSON compliant"):
        embedded(float("nan"))


def test_figures_share_a_page_without_clashing() -> None:
    packages = [find_versions().items[name] for name in ("v12b", "v13")]
    texts = [inline_svg(draw_published(packages), name, "a < b") for name in ("one", "two")]
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in texts]
    assert not ids[0] & ids[1]
    for text, own in zip(texts, ids, strict=True):
        used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
        assert used <= own
        root = ET.fromstring(text)
        assert root[0].text == "a < b"
        assert "v12b" in "".join(root.itertext())
        assert not re.search(r"#222222|#ffffff|DejaVu|<style", text)


def test_dark_colours_keep_their_order_of_contrast() -> None:
    shades = ["#deebf7", "#9ecae1", "#3182bd", "#08306b"]
    brightness = [sum(bytes.fromhex(dark(shade)[1:])) for shade in shades]
    assert brightness == sorted(brightness)


def test_family_goes_on_with_the_longest_line() -> None:
    parents = {"a": [], "b": ["a"], "side": ["a"], "c": ["b"], "leaf": ["b"], "lone": ["gone"]}
    listed = [{"id": name, "parents": own} for name, own in parents.items()]
    lines = family(listed)
    names = [[listed[node.place]["id"] for node in line] for line in lines]
    assert names == [["a", "b", "c"], ["lone"]]
    first = lines[0]
    assert [listed[line[0].place]["id"] for line in first[0].branches] == ["side"]
    assert [listed[line[0].place]["id"] for line in first[1].branches] == ["leaf"]


def test_pages_overwrite_nothing_but_themselves(minifold: Minifold, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", epochs=rows(3, 2))
    taken = tmp_path / "taken.html"
    taken.write_text("mine")
    for command in (("list-models",), ("report", run)):
        result = minifold(*command, "--html", taken)
        assert result.returncode == 3
        assert "taken.html exists" in result.stderr
    assert taken.read_text() == "mine"

    assert minifold("report", run).returncode == 0
    made = (run / "report.html").read_bytes()
    assert minifold("report", run).returncode == 0
    assert (run / "report.html").read_bytes() == made
    (run / "report.html").write_text("notes of mine")
    assert minifold("report", run).returncode == 3
    assert (run / "report.html").read_text() == "notes of mine"


@pytest.mark.parametrize("version", ["contact", "v14"])
def test_report_of_a_run_that_has_hardly_begun(
    version: str, minifold: Minifold, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run", version)
    result = minifold("report", run, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["epoch"] == 0
    (run / "environment.json").unlink()
    (run / "migration.json").write_text("{}")
    assert minifold("report", run).returncode == 0
    text = (run / "report.html").read_text()
    assert "environment.json is missing" in text
    assert "no weights of this run could be read" in text


def test_a_page_of_a_comparison_holds_what_json_prints(minifold: Minifold, tmp_path: Path) -> None:
    path = tmp_path / "compare.html"
    result = minifold("compare", "v12b", "v13", "--json", "--html", path)
    assert result.returncode == 0, result.stderr
    text = path.read_text()
    held = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert held
    assert json.loads(held[1]) == json.loads(result.stdout)
    assert "compare v12b v13 --json" in text


def test_published_curves_begin_after_those_they_started_from() -> None:
    behind = epochs_behind(["v12b", "v13"])
    assert behind == {"v12b": 0, "v13": 30}
    packages = [find_versions().items[name] for name in behind]
    figure = draw_published(packages, behind=behind)
    (axes,) = (each for each in figure.axes if each.get_title() == "frame_rot")
    curves = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) > 1]
    assert [(min(xs), max(xs)) for xs in curves] == [(1, 31), (31, 45)]
    best = {
        tuple(map(float, line.get_xydata()[0])) for line in axes.lines if len(line.get_xdata()) == 1
    }
    assert best == {(16, 0.780), (45, 0.770)}


def test_runs_of_a_side_look_alike_and_are_counted(tmp_path: Path) -> None:
    runs = [read_run(write_run(tmp_path / f"run{n}$", epochs=rows(3, n))) for n in range(6)]
    figure = draw_curves(runs, sides=["one"] * 3 + ["other"] * 3)
    (axes,) = (each for each in figure.axes if each.get_title() == "fape")
    colours = [line.get_color() for line in axes.lines if line.get_color() in COLOURS]
    assert {colour: colours.count(colour) for colour in colours} == dict.fromkeys(COLOURS[:2], 6)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[:2] == ["one: 3 runs", "other: 3 runs"]


def test_zoo_shows_what_was_asked_for(minifold: Minifold, tmp_path: Path) -> None:
    path = tmp_path / "zoo.html"
    result = minifold("list-models", "v13", "contact", "--html", path)
    assert (result.returncode, result.stdout) == (0, f"page: {path}\n")
    text = path.read_text()
    assert {name for name in ("contact", "v12b", "v13") if f'id="{name}"' in text} == {
        "contact",
        "v13",
    }
    assert "3Dmol" not in text
    assert (
        minifold("list-models", "v12", "--has-weights", "--html", tmp_path / "none.html").returncode
        == 0
    )
