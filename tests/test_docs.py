"""Cards, generated pages and ``minifold show``: one record, the same everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from minifold_core.batch import Truth
from minifold_core.cards import Card, card_of
from minifold_core.cli.curve import curve
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.discovery import component, find_versions
from minifold_core.recipe_tree import read_source
from minifold_core.registry import entry, printed_history

Minifold = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
OWN = {n: p for n, p in find_versions().items.items() if p.origin.distribution == "minifold"}
COMPUTED = {"v13": {"0.040", "0.160", "2.397"}, "contact": {"0.693"}}
"""Figures that a card derives from its table instead of quoting it."""


def card(name: str) -> Card:
    found = card_of(OWN[name])
    assert found, f"{name} has no card"
    return found


def test_every_generated_page_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import build_docs

    made = build_docs.pages()
    stale = [path for path, text in made.items() if not build_docs.is_current(path, text)]
    assert not stale, "run python scripts/build_docs.py"
    assert {path for path in made if path.parent.name == "models"} == {
        *(ROOT / "docs" / "models").glob("*.md")
    }
    assert {f"{name}.md" for name in OWN} < {path.name for path in made}


def test_pages_are_made_without_torch() -> None:
    code = "import sys, build_docs\nbuild_docs.pages()\nprint('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", OWN)
def test_what_a_card_quotes_is_in_a_table(name: str) -> None:
    """Three decimals are a figure of the published tables, its own or an ancestor's."""
    found = card(name)
    assert found.changed
    row = entry(OWN[name])
    # What nobody has trained yet has taught nothing.
    trained = row.status != "experimental" or row.best_epoch is not None
    assert bool(found.learned and found.wrong) == trained
    prose = " ".join([found.changed, found.learned, *found.wrong])
    printed = set(COMPUTED.get(name, ()))
    for ancestor in read_source(name).lineage:
        printed |= {cell for row in printed_history(OWN[ancestor]) for cell in row.values()}
        printed |= {f"{value:.3f}" for value in (entry(OWN[ancestor]).published or {}).values()}
    assert {*re.findall(r"\b\d\.\d{3}\b", prose)} <= printed
    best = [r for r in printed_history(OWN[name]) if r["epoch"] == str(row.best_epoch)]
    for line in best:
        assert line["val_total"] in prose
        assert f"epoch {line['epoch']}" in prose


def test_new_bests_that_the_cards_count_are_those_of_the_table() -> None:
    marked = [row["epoch"] for row in printed_history(OWN["v12b"]) if row["status"] == "NEW BEST"]
    assert len(marked) == 8
    assert f"epochs {', '.join(marked[:-1])} and {marked[-1]}" in " ".join(card("v12b").wrong)


@pytest.mark.parametrize("name", ["contact", "v8", "v10", "v12b", "v13"])
def test_show_prints_the_record_within_80_columns(minifold: Minifold, name: str) -> None:
    done = minifold("show", name, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    words = " ".join(done.stdout.split())
    for text in (card(name).learned, *card(name).wrong):
        assert text in words
    rows, known = printed_history(OWN[name]), entry(OWN[name])
    for row in rows:
        mark = "*" if row["epoch"] == str(known.best_epoch) else ""
        cells = [cell or "–" for cell in row.values()]
        assert " ".join([mark + cells[0], *cells[1:]]) in words
    assert ("▲" in words) == bool(rows)
    assert all(f"{value}" in words for value in (known.published or {}).values())


def test_show_json_holds_the_record(minifold: Minifold, tmp_path: Path) -> None:
    shown = json.loads(minifold("show", "v12b", "--json").stdout)
    assert shown["card"] == card("v12b").model_dump(mode="json")
    assert shown["published"]["val_total"] == 2.413
    assert [row["epoch"] for row in shown["history"]] == list(range(1, 32))
    (tmp_path / "mine.toml").write_text('extends = "v12b"\n')
    mine = json.loads(minifold("show", tmp_path / "mine.toml", "--json").stdout)
    assert (mine["card"], mine["published"], mine["history"]) == (None, None, [])


@pytest.mark.slow
def test_a_strangers_version_may_have_a_card_and_its_faults_are_named(
    minifold: Minifold, tmp_path: Path
) -> None:
    package, info = tmp_path / "strange_version", tmp_path / "strange-1.0.dist-info"
    for folder in (package, info):
        folder.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[minifold.versions]\nv20 = strange_version\n")
    (package / "__init__.py").touch()
    (package / "recipe.toml").write_text('extends = "v13"\n')

    def shown() -> subprocess.CompletedProcess[str]:
        return minifold("show", "v20", "--size", "nano", PYTHONPATH=str(tmp_path))

    assert shown().returncode == 0
    (package / "card.toml").write_text('learned = """\nMore\nhelps."""\n')
    assert "learned: More helps." in shown().stdout
    for text, said in (
        ("learnt = 'x'", "unknown key 'learnt'; did you mean 'learned'?"),
        ("wrong = 'all'", "wrong = 'all'"),
        ("schema = 2", "schema 2, not 1; update minifold"),
        ("learned = ", "cannot be read"),
    ):
        (package / "card.toml").write_text(text)
        done = shown()
        assert (done.returncode, done.stderr.count("error:")) == (1, 1), done.stderr
        assert f"card {package / 'card.toml'}" in done.stderr
        assert said in done.stderr


def test_a_curve_keeps_gaps_marks_the_best_and_fits() -> None:
    assert curve({1: 3.0, 2: 2.0, 4: 1.0}, best=4, width=80) == [
        "   3.000 │███",
        "         │███▅▅▅",
        "   1.000 │██████   ▁▁▁",
        "         └──────────▲─",
        "          1          4",
    ]
    assert curve({7: 1.0}, best=None, width=80)[-3:] == [
        "   1.000 │▁▁▁",
        "         └───",
        "          7 7",
    ]
    long = curve({epoch: 1 / epoch for epoch in range(1, 5001)}, best=5000, width=60)
    assert max(map(len, long)) <= 60
    assert long[-2].endswith("▲")


def test_the_floors_of_one_point_are_those_that_the_facts_state() -> None:
    """Facts that name the demo set, or arithmetic, measured again with the losses themselves."""
    truth = Truth.of(collate(list(open_dataset())))
    point = {
        "coords": torch.zeros_like(truth.ca),
        "backbone": torch.zeros_like(truth.backbone),
    }
    native = {"coords": truth.ca, "backbone": truth.backbone}

    def value(name: str, prediction: dict[str, torch.Tensor]) -> float:
        spec = component("loss", name)
        loss = spec.implementation_class()(spec.config_class()())
        return float(loss(prediction, truth).mean())

    def fact(name: str, part: str) -> str:
        return getattr(component("loss", name).config_class().facts, part)

    floors = {
        **{"bond": 3, "clash": 2, "chirality": 2, "angle": 2},
        **{"aligned_mse": 2, "smooth_lddt": 2},
        **{"bb_fape": 2, "bb_bond": 3, "bb_angle": 2, "omega": 0, "phi_psi": 0},
    }
    for name, digits in floors.items():
        assert fact(name, "floor").startswith(f"{value(name, point):.{digits}f} ")
    for name, digits in {"bb_angle": 4, "omega": 3, "smooth_lddt": 2}.items():
        assert f"{value(name, native):.{digits}f}" in fact(name, "target")
    sizes = (truth.ca.pow(2).sum((1, 2)) / truth.mask.sum(1)).sqrt().log()
    assert f" {sizes.var(correction=0):.2f} in the demo set" in fact("rg", "floor")
