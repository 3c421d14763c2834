"""What recipes, manifests and published tables say of models side by side."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from minifold_core.comparison.milestones import Milestone, milestones
from minifold_core.comparison.parts import count
from minifold_core.comparison.published import Point, Start, published_of
from minifold_core.comparison.sides import read_sides
from minifold_core.comparison.static import StaticComparison
from minifold_core.discovery import find_versions
from minifold_core.recipe import load_recipe
from minifold_core.weights.structure import Structure

VERSIONS = Path(__file__).parent.parent / "versions"
FILES = ("recipe.toml", "manifest.json", "history.csv", "lineage.toml", "card.toml")


def compare(*arguments: str, size: str | None = None) -> StaticComparison:
    return StaticComparison.of(read_sides(arguments, size))


def milestone(of: str, by: str, figure: str) -> Milestone:
    (found,) = (
        each
        for each in milestones(published_of(read_sides([of, by])))
        if (each.of, each.by, each.figure) == (of, by, figure)
    )
    return found


def test_v13_passes_v12bs_rotations_at_its_epoch_4_having_started_from_epoch_30() -> None:
    found = milestone("v12b", "v13", "frame_rot")
    assert found.best == Point(16, 0.780, "0.780")
    assert found.passed == found.equalled == Point(4, 0.771, "0.771")
    assert found.lineage == {"of": (), "by": (Start("v12b", 30),)}
    assert found.along == {"of": 16, "by": 34}
    assert found.words == (
        "v13 passes v12b's best frame_rot, 0.780 at epoch 16, at its epoch 4 with 0.771, having "
        "started from v12b's epoch 30: 34 epochs along the lineage, to 16"
    )


@pytest.mark.parametrize(
    ("of", "by", "figure", "best", "equalled", "passed", "along"),
    [  # read from the tables by hand
        ("v12b", "v13", "fape", (16, 1.564), (4, 1.546), (4, 1.546), (16, 34)),
        ("v12b", "v13", "dist_mse", (30, 0.312), (4, 0.312), None, (30, 34)),
        ("v12b", "v13", "bond", (18, 0.005), (8, 0.005), None, (18, 38)),
        ("v12b", "v13", "ddim_tm", (7, 0.113), (1, 0.114), (1, 0.114), (7, 31)),
        ("v13", "v12b", "frame_rot", (15, 0.770), None, None, (45, None)),
        ("v13", "v12b", "dist_mse", (4, 0.312), (30, 0.312), None, (34, 30)),
        ("v12", "v12b", "val_total", (10, 2.581), (10, 2.521), (10, 2.521), (10, 20)),
        ("v12b", "v12", "val_total", (30, 2.413), None, None, (40, None)),
        ("v12", "v12b", "dist_mse", (7, 0.343), (3, 0.339), (3, 0.339), (7, 13)),
        ("v12", "v12b", "ddim_rmsd", (2, 13.73), None, None, (2, None)),
        ("v12b", "v12", "ddim_rmsd", (8, 16.39), (1, 15.28), (1, 15.28), (18, 1)),
        ("v12", "v13", "frame_rot", (10, 0.833), (2, 0.792), (2, 0.792), (10, 42)),
        ("v11", "v11b", "dist_mse", (13, 0.380), (8, 0.351), (8, 0.351), (13, 18)),
        ("v11b", "v12", "frame_rot", (8, 0.830), None, None, (18, None)),
    ],
)
def test_milestones_are_those_of_the_tables(
    of: str,
    by: str,
    figure: str,
    best: tuple[int, float],
    equalled: tuple[int, float] | None,
    passed: tuple[int, float] | None,
    along: tuple[int, int | None],
) -> None:
    found = milestone(of, by, figure)
    assert found.best[:2] == best
    assert (found.equalled and found.equalled[:2], found.passed and found.passed[:2]) == (
        equalled,
        passed,
    )
    assert (found.along["of"], found.along["by"]) == along
    assert not found.incomparable


def test_bests_are_told_with_what_forbids_to_compare_them() -> None:
    bests = compare("v10", "v12b", "v13").bests
    assert [(best.figure, best.value, best.epoch, best.size) for best in bests.rows] == [
        ("val_structural", 0.805, 16, "full"),
        ("total", 2.413, 30, "full"),
        ("total", 2.373, 4, "full"),
    ]
    assert [unlike.why for unlike in bests.incomparable] == [
        "one is val_structural, the other total",
        "clash weighs 0.1 and 0, bond 3 and 1.8 (at these epochs)",
    ]
    assert not compare("v13", "v13").bests.incomparable


def test_columns_of_one_table_alone_are_told_from_first_to_last() -> None:
    record = compare("v12b", "v13").published[1]
    found = record.figures["aux_dist"]
    assert found[:3] == ("nats per edge", Point(1, 0.323, "0.323"), Point(15, 0.396, "0.396"))
    assert found.best == Point(1, 0.323, "0.323")
    assert any("from 0.323 to 0.400" in fault for fault in record.faults)
    assert len(record.faults) + record.more_faults == 8


def test_where_a_version_began_is_not_guessed() -> None:
    found = milestone("v12", "v14", "fape")
    assert (found.passed, found.lineage["by"]) == (Point(1, 1.550, "1.550"), None)
    assert found.along == {"of": None, "by": None}
    assert "from which epoch of its parent it began is not known" in found.words


def test_totals_are_compared_only_at_the_same_weights() -> None:
    found = milestone("v12b", "v13", "val_total")
    assert found.incomparable == "clash weighs 0.1 and 0, bond 3 and 1.8 (at these epochs)"
    assert (found.passed, found.equalled) == (None, None)
    # The bond ramp of one recipe ends at epoch 10: before it the weights of two epochs differ.
    (v13,) = published_of(read_sides(["v13", "v13"]))
    late = replace(v13, columns={"val_total": (Point(12, 2.4, "2.4"), Point(14, 2.5, "2.5"))})
    later = replace(late, columns={"val_total": (Point(11, 2.3, "2.3"),)})
    early = replace(late, columns={"val_total": (Point(4, 2.3, "2.3"),)})
    assert [m.passed and m.passed.epoch for m in milestones((late, later))] == [11, None]
    assert "bond weighs 3 and 1.8" in milestones((late, early))[0].incomparable


def test_figures_of_another_definition_are_not_compared() -> None:
    assert milestone("v11", "v11b", "fape").incomparable == "fape: frames is rebuilt and predicted"
    v12, v13 = published_of(read_sides(["v12", "v13"]))
    other = load_recipe("v13", values={"coordinates.scale": "rg"})
    pair = milestones((v12, replace(v13, recipe=other)))
    found = {each.figure: each for each in pair if each.of == "v12"}
    assert found["dist_mse"].incomparable == "coordinates.scale is fixed and rg"
    assert not found["ddim_tm"].incomparable


def test_values_that_differ_are_told_with_their_origins() -> None:
    found = compare("v12b", "v13")
    values = {
        row.key: [(each.value, each.origin) if each else None for each in row.sides]
        for row in found.values
    }
    schedule, own = "default of training.schedule", "v13/recipe.toml"
    assert values == {
        "pair_stack.blocks": [(4, "v8/recipe.toml"), (8, own)],
        "pair_stack.ffn_multiplier": [(2, "v8/recipe.toml"), (4, own)],
        "pair_stack.opm_hidden": [(16, "v8/recipe.toml"), (128, own)],
        "pair_stack.max_rel_pos": [(32, "v8/recipe.toml"), None],  # the axial stack's alone
        "pair_stack.tri_mul_dim": [None, (64, own)],
        "pair_stack.rpe_bins": [None, (128, own)],
        "pair_stack.rpe_linear": [None, (8, own)],
        "pair_stack.max_separation": [None, (512, own)],
        "pair_stack.sinusoidal": [None, (32, own)],
        "training.schedule.warmup_epochs": [(0, schedule), (3, own)],
        "training.schedule.constant_epochs": [(0, schedule), (20, own)],
        "training.schedule.floor": [(0, schedule), (1e-6, own)],
        "training.patience": [(0, "default of training"), (15, own)],
        "training.unconditional": [(0, "default of training"), (0.1, own)],
        "training.sample_every": [(1, "v11/recipe.toml"), (5, own)],
        "training.learning_rate_scale.aux_pair_stack": [(1, "default of training"), (2, own)],
    }
    assert [loss.loss for loss in found.losses if not loss.equal] == ["clash"]
    assert [part.slot for part in found.parts if not part.equal] == ["pair_stack"]


def test_what_carries_is_what_both_manifests_have_outside_the_pair_stack() -> None:
    sizes = []
    for name in ("v12b", "v13"):
        manifest = json.loads((VERSIONS / f"minifold_{name}" / "manifest.json").read_text())
        sizes.append(manifest["sizes"]["full"]["tensors"])
    a, b = sizes
    kept = [n for n in b if a.get(n) == b[n] and not n.startswith("pair_stack.")]
    numbers = sum(math.prod(b[name]) for name in kept)
    (carried,) = compare("v12b", "v13").migration
    assert carried.parameters == numbers
    assert carried.percent == round(100 * numbers / sum(map(math.prod, b.values())), 1)
    assert carried.percent_of_source == round(100 * numbers / sum(map(math.prod, a.values())), 1)
    assert not carried.refused


def test_parameters_are_those_of_the_manifests() -> None:
    for name, package in find_versions().items.items():
        manifest = json.loads((package.directory / "manifest.json").read_text())
        for size, table in manifest["sizes"].items():
            recipe = load_recipe(name, size)
            found = count(recipe, Structure.of_recipe(recipe))
            assert {slot: list(pair) for slot, pair in found.items()} == table["counts"]["slots"]


def test_the_same_twice_is_equal_and_a_changed_value_is_not(tmp_path: Path) -> None:
    assert compare("v13", "v13", "v13", size="nano").equal
    for change in (
        "[losses.fape]\nweight = 2.0",
        "[training]\npatience = 3",
        "[denoiser]\nlayers = 9",
    ):
        (tmp_path / "mine.toml").write_text(f'extends = "v13"\n{change}\n')
        assert not compare("v13", str(tmp_path / "mine.toml")).equal, change


def test_across_families_only_what_both_have_is_set_side_by_side() -> None:
    found = compare("v10", "v13", "contact")
    denoiser = next(part for part in found.parts if part.slot == "denoiser")
    assert [each and each.component for each in denoiser.sides] == ["egnn", "ipa", None]
    keys = {row.key: row for row in found.values}
    assert [each and each.value for each in keys["losses.fape.frames"].sides] == [
        "rebuilt",
        "predicted",
        None,
    ]
    assert "denoiser.query_points" not in keys  # contact has no denoiser at all
    pair = {row.key: row for row in compare("v10", "v13").values}
    assert [each and each.value for each in pair["denoiser.query_points"].sides] == [None, 8]
    assert "aux_pair_stack.blocks" not in pair  # nor has v10 an auxiliary pair stack
    scale = pair["training.learning_rate_scale.aux_pair_stack"]  # so no rate of it either
    assert [each and each.value for each in scale.sides] == [None, 2]
    assert [carried.percent for carried in found.migration] == [3.4, 99.5]
    assert found.migration[0].refused
    assert {row.key for row in found.values if row.group == "coordinates"} == {"coordinates.scale"}


def test_every_figure_says_where_it_was_read() -> None:
    found = compare("v12b", "v13", "v10").to_dict()
    names = {text for text in _texts(found) if text.endswith((".toml", ".csv", ".json"))}
    listed = {source["path"]: source["cited"] for source in found["sources"]}
    for path in listed:
        assert (VERSIONS.parent / path).is_file(), path
    assert names == {name for pair in listed.items() for name in pair if name}
    read = [f"versions/minifold_v13/{file}" for file in FILES]
    assert {*read, "versions/minifold_v12/lineage.toml", "registry.toml"} <= listed.keys()
    assert listed["versions/minifold_v8/recipe.toml"] == "v8/recipe.toml"
    for side in found["published"]:
        if "table" in side["files"]:
            with (VERSIONS.parent / side["files"]["table"]).open() as table:
                rows = {int(row["epoch"]): row for row in csv.DictReader(table)}
            assert float(rows[side["best"]["epoch"]]["val_total"]) == side["best"]["val_total"]


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
