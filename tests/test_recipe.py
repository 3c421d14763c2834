"""Recipes: inheritance, sizes, overrides, origins, and what a misspelling gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from minifold_core.discovery import find_versions
from minifold_core.errors import RequestError
from minifold_core.recipe import load_recipe, recipe_from_tables
from minifold_core.recipe_schema import Ramp
from minifold_core.recipe_tree import Leaf, merge, nest, parse_assignments, read_source

LINE = ("v8", "v9", "v10", "v11", "v11b", "v12", "v12b", "v13")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_child_says_only_what_changed_and_inherits_the_rest() -> None:
    recipe = load_recipe("v13")
    assert recipe.lineage == LINE
    assert recipe.slots["pair_stack"].spec.name == "triangle"
    assert recipe.slots["denoiser"].config == load_recipe("v12").slots["denoiser"].config
    assert recipe.training.clip_norms["pair_stack"] == 0.5
    assert set(load_recipe("v12b").active_losses) - set(recipe.active_losses) == {"clash"}


def test_another_component_in_a_slot_drops_what_was_said_of_the_old_one() -> None:
    base = {
        "pair_stack.component": Leaf("axial", "a"),
        "pair_stack.max_rel_pos": Leaf(32, "a"),
        "sizes.nano.pair_stack.max_rel_pos": Leaf(8, "a"),
        "denoiser.component": Leaf("ipa", "a"),
    }
    merged = merge(base, {"pair_stack.component": Leaf("triangle", "b")})
    assert set(merged) == {"pair_stack.component", "denoiser.component"}


def test_a_plain_value_replaces_a_table_and_the_other_way_round() -> None:
    ramp = {"w.start": Leaf(1, "a"), "w.end": Leaf(3, "a")}
    assert nest(merge(ramp, {"w": Leaf(2, "b")})) == {"w": 2}
    assert nest(merge({"w": Leaf(2, "b")}, ramp)) == {"w": {"start": 1, "end": 3}}


def test_every_value_has_an_origin() -> None:
    values = load_recipe("v13", "nano", values={"training.epochs": 3}).values()
    assert values["training.epochs"] == (3, "--set")
    assert values["losses.clash.weight"] == (0.0, "v13/recipe.toml")
    assert values["losses.fape.weight"] == (1.0, "v11/recipe.toml")
    assert values["denoiser.d_model"] == (128, "nano preset of denoiser 'ipa'")
    assert values["training.weight_decay"] == (0.01, "default of training")
    assert values["denoiser.snr_low"][1] == "v11/recipe.toml"
    assert values["encoder.heads"][1] == "default of encoder 'contact'"


@pytest.mark.parametrize(
    "version", [v for v in find_versions().items if len(read_source(v).lineage) > 1]
)
def test_recipes_hold_no_value_that_a_parent_already_gives(version: str) -> None:
    source = read_source(version)
    own = {
        k: leaf
        for k, leaf in source.tree.items()
        if version in leaf.origin.split("/")[0].split("_")
    }
    parent = read_source(source.lineage[-2]).tree
    # Another component starts from its own defaults.
    swapped = {
        slot
        for slot in ("pair_stack", "denoiser")
        if (key := f"{slot}.component") in own
        and key in parent
        and own[key].value != parent[key].value
    }
    repeated = [
        key
        for key, leaf in own.items()
        if key in parent and parent[key].value == leaf.value and key.split(".")[0] not in swapped
    ]
    assert not repeated


def test_resolved_tables_make_the_same_recipe_again(tmp_path: Path) -> None:
    recipe = load_recipe("v13", "nano", values={"losses.bond.weight": 2.0})
    again = recipe_from_tables(recipe.to_tables(), "header")
    assert again.to_tables() == recipe.to_tables()
    path = write(tmp_path / "recipe.toml", tomli_w.dumps(recipe.to_tables()))
    assert load_recipe(path).to_tables() == recipe.to_tables()
    assert (again.id, again.size, again.lineage) == ("v13", "nano", LINE)


def test_retired_settings_are_passed_over_in_what_a_run_resolved_alone(tmp_path: Path) -> None:
    recipe = load_recipe("v13", "nano")
    tables = recipe.to_tables()
    tables["training"] |= {"rollouts": 0.0, "rollout_steps": 10}
    assert recipe_from_tables(tables, "weights").to_tables() == recipe.to_tables()
    path = tmp_path / "recipe.toml"
    path.write_text(tomli_w.dumps(tables))
    assert load_recipe(path, "nano").training == recipe.training
    tables["training"]["rolouts"] = 0.0
    with pytest.raises(RequestError, match=r"unknown key 'training\.rolouts'"):
        recipe_from_tables(tables, "weights")
    path.write_text('extends = "v13"\n[training]\nrollouts = 0.0\n')
    with pytest.raises(RequestError, match=r"unknown key 'training\.rollouts'"):
        load_recipe(path)


def test_a_users_own_file_extends_a_version(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.toml", 'extends = "v13"\n[losses.fape]\nweight = 2.0\n')
    recipe = load_recipe(path, "nano")
    assert (recipe.id, recipe.lineage[-1]) == ("mine", "mine")
    assert recipe.losses["fape"].weight == 2.0
    child = write(tmp_path / "child.toml", 'extends = "mine.toml"\n')
    assert load_recipe(child).losses["fape"].weight == 2.0


def test_a_swapped_component_comes_in_the_size_asked_for() -> None:
    recipe = load_recipe("v13", "nano", components={"pair_stack": "axial"})
    assert (
        recipe.slots["pair_stack"].config == load_recipe("v12", "nano").slots["pair_stack"].config
    )
    assert recipe.values()["pair_stack.d_pair"] == (32, "nano preset of pair_stack 'axial'")


def test_what_a_run_resolved_is_believed_of_its_own_file_alone(tmp_path: Path) -> None:
    recipe = load_recipe("v13", "nano")
    run = write(tmp_path / "recipe.toml", tomli_w.dumps(recipe.to_tables()))
    child = load_recipe(write(tmp_path / "mine.toml", f'extends = "{run}"\n'))
    assert (child.id, child.size) == ("mine", "nano")
    assert child.lineage == (*LINE, "mine")
    with pytest.raises(RequestError, match="unknown key 'resolved'"):
        load_recipe("v13", values={"resolved.id": "v12"})


def test_a_users_own_file_holds_at_every_size(tmp_path: Path) -> None:
    text = 'extends = "v13"\n[pair_stack]\nblocks = 3\n[denoiser]\nlayers = 5\n'
    path = write(tmp_path / "mine.toml", text + "[sizes.nano.denoiser]\nlayers = 2\n")
    values = load_recipe(path, "nano").values()
    assert values["pair_stack.blocks"] == (3, str(path))
    assert values["denoiser.layers"] == (2, str(path))
    assert values["pair_stack.d_pair"][0] == 32
    assert load_recipe(path).values()["denoiser.layers"][0] == 5


def test_a_swapped_component_leaves_nothing_of_the_old_one_in_a_users_file(tmp_path: Path) -> None:
    own = write(tmp_path / "a.toml", 'extends = "v13"\n[denoiser]\nquery_points = 2\nlayers = 3\n')
    child = write(tmp_path / "b.toml", 'extends = "a.toml"\n[denoiser]\ncomponent = "egnn"\n')
    preset = {"layers": 4, "d_model": 128}
    for recipe in (
        load_recipe(own, "nano", components={"denoiser": "egnn"}),
        load_recipe(own, "nano", values={"denoiser.component": "egnn"}),
        load_recipe(child, "nano"),
    ):
        config = recipe.slots["denoiser"].config.model_dump()
        assert {key: config[key] for key in preset} == preset
    assert load_recipe(child).slots["denoiser"].config.model_dump()["d_model"] == 512


def test_other_sizes_of_a_users_file_are_checked_too(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.toml", 'extends = "v13"\n[sizes.nano.denoser]\nlayers = 1\n')
    with pytest.raises(RequestError, match="unknown key 'denoser'; did you mean 'denoiser'"):
        load_recipe(path)


def test_ramps_count_epochs_from_one() -> None:
    ramp = Ramp(start=1.0, end=3.0, epochs=10)
    assert [ramp.at(e) for e in (1, 5, 10, 40)] == pytest.approx([1.2, 2.0, 3.0, 3.0])
    bond = load_recipe("v13").losses["bond"]
    assert (bond.weight_at(5), bond.final_weight) == (2.0, 3.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = "v133"', "mine.toml: unknown version 'v133'; did you mean 'v13'?"),
        (
            'extends = "v13"\n[denoizer]\nlayers = 2',
            "unknown key 'denoizer'; did you mean 'denoiser'?",
        ),
        (
            'extends = "v13"\n[denoiser]\nlayer = 2',
            "unknown key 'denoiser.layer'; did you mean 'layers'?",
        ),
        ('extends = "v13"\n[training.schedule]\nwarmup = 2', "did you mean 'warmup_start'?"),
        ('extends = "v13"\n[training]\nlearningrate = 2', "did you mean 'learning_rate'?"),
        ('extends = "v13"\n[denoiser]\nlayers = 0', "denoiser.layers = 0"),
        ('extends = "v13"\n[denoiser]\nlayers = "two"', "denoiser.layers = 'two'"),
        (
            'extends = "v13"\n[denoiser]\ncomponent = "egn"',
            "unknown denoiser 'egn'; did you mean 'egnn'?",
        ),
        ('extends = "v13"\n[losses.faep]\nweight = 1', "unknown loss 'faep'; did you mean 'fape'?"),
        ('extends = "v13"\n[losses.fape]\nweight = -1', "must be a number >= 0"),
        ('extends = "v13"\n[losses.fape]\nweight = "x"', "must be a number >= 0"),
        ('extends = "v13"\n[losses]\nfape = 1', "'losses.fape' must be a table"),
        ('extends = "v13"\nencoder = "contact"', "[encoder] names no component"),
        ('extends = "v13"\n[encoder]\nfrozen = 1', "encoder.frozen must be true or false"),
        ('[process]\ncomponent = "ddpm"', "has no [training]"),
        (
            '[training]\nlearning_rate = 1\n[process]\ncomponent = "ddpm"',
            "has a [process] and no [denoiser]",
        ),
        ("schema = 99", "schema 99 is not 1"),
        ("a = [", "cannot be read"),
        ('extends = "v13"\n[sizes]\nnano = 3', "'sizes.nano' must be a table"),
        ('extends = "v13"\ntraining = 3', "training = 3 must be a table"),
        ('extends = "v13"\nheads.rg = 3', "mine.toml: 'heads.rg' must be a table"),
        ('extends = "v13"\n[losses.fape]\nweight = inf', "must be a number >= 0"),
        ('extends = "v13"\n[training]\nlearning_rate = inf', "learning_rate = inf"),
        ('extends = "v13"\n[training]\nbetas = [2, 3]', "training.betas"),
        ('extends = "mine.toml"', "in a circle: mine → mine"),
        ("extends = 3", "extends must be"),
    ],
)
def test_a_wrong_recipe_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path / "mine.toml", text)
    with pytest.raises(RequestError) as caught:
        load_recipe(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "v133"}, "unknown version 'v133'; did you mean 'v13'?"),
        ({"name": "none.toml"}, "does not exist"),
        ({"name": "v13", "size": "nanno"}, "has no size 'nanno'; did you mean 'nano'?"),
        (
            {"name": "v13", "components": {"denoisr": "ipa"}},
            "no such slot; did you mean 'denoiser'?",
        ),
        (
            {"name": "v13", "components": {"losses.mine": "fape"}},
            "no such slot; a loss is switched on by --set losses.mine.weight=0.1",
        ),
        (
            {"name": "v13", "components": {"metrics.mine": "contact_map"}},
            "no such slot; a metric by --set metrics.mine.component=contact_map",
        ),
        (
            {"name": "v13", "components": {"pair_stack": "axil"}},
            "unknown pair_stack 'axil'; did you mean 'axial'?",
        ),
        (
            {"name": "v13", "values": {"training.epoch": 1}},
            "--set: unknown key 'training.epoch'; did you mean 'epochs'?",
        ),
        (
            {"name": "v13", "values": {"losses.fape.weight.start": 1.0}},
            "'losses.fape.weight.end' is missing",
        ),
    ],
)
def test_a_wrong_request_is_refused_in_words(arguments: dict, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        load_recipe(**arguments)
    assert said in str(caught.value)


def test_a_file_that_extends_nothing_and_lacks_a_size_is_told_how_to_begin(tmp_path: Path) -> None:
    for text, told in (("schema = 1", True), ('extends = "contact"', False)):
        path = write(tmp_path / "mine.toml", f"{text}\n[sizes.tiny.training]\nepochs = 2")
        with pytest.raises(RequestError) as caught:
            load_recipe(path, "tny")
        assert "mine has no size 'tny'; did you mean 'tiny'?" in str(caught.value)
        way = 'mine.toml extends nothing: to have v13\'s sizes, begin it with extends = "v13"'
        assert (way in str(caught.value)) == told


def test_assignments_are_toml_or_plain_text() -> None:
    parsed = parse_assignments(["a.b=1e-3", "c=true", "d=ipa", 'e="x y"', "f=[1, 2]"], "--set")
    assert parsed == {"a.b": 1e-3, "c": True, "d": "ipa", "e": "x y", "f": [1, 2]}
    for bad in ("a", "=1"):
        with pytest.raises(RequestError, match="KEY=VALUE"):
            parse_assignments([bad], "--set")
