"""Discovery: one bad plugin harms nobody else."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minifold_core import discovery
from minifold_core.assembly import wire
from minifold_core.catalogue import list_models, natural, problems
from minifold_core.diagnosis import diagnose
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.recipe import load_recipe
from plugin_files import GOOD, write_distribution

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_discovery: None) -> Install:
    """Install a distribution with one module and one ``minifold.plugins`` entry point."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution: str, entry: str, source: str, group: str = "minifold.plugins") -> None:
        module = write_distribution(tmp_path, distribution, entry, source, group)
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, module, raising=False)
        discovery.refresh()

    return make


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("raise RuntimeError('on\\nimport')", "RuntimeError: on import"),
        ("import sys; sys.exit(7)", "SystemExit: 7"),
        (GOOD.replace("@hookimpl", ""), "minifold_components has no decorator"),
        ("minifold_api = 1", "it offers nothing: no @hookimpl function"),
        (GOOD.replace('"loss"', '"banana"'), "unknown kind 'banana'"),
        (GOOD.replace("return [", "raise ValueError('in the hook')\n    return ["), "in the hook"),
        (
            GOOD.replace("minifold_components", "minifold_komponents"),
            "unknown hook 'minifold_komponents'",
        ),
        (GOOD.replace("return [", "return ['x'] or ["), "which is no ComponentSpec"),
        (GOOD.replace("return [", "return 2 * ["), "it offers 'loss/{name}' twice"),
        (GOOD.replace("minifold_api = 1", ""), "does not say which plugin API it needs"),
        (GOOD.replace("minifold_api = 1", "minifold_api = '1'"), "'1' is no plugin API"),
        (GOOD.replace("components():", "components(x):"), "x"),
    ],
)
def test_a_broken_plugin_is_listed_and_the_others_go_on(
    install: Install, source: str, cause: str
) -> None:
    install("bad-plugin", "bad", source)
    found = discovery.find_components()
    assert "denoiser/ipa" in found.items
    (problem,) = found.problems
    assert problem.origin.distribution == "bad-plugin"
    assert cause in problem.cause
    assert "bad-plugin" in problem.mend
    assert [f.result for f in diagnose() if not f.ok and "bad" in f.what]
    load_recipe("v13")


def test_a_good_plugin_offers_its_component_under_its_name(install: Install) -> None:
    install("good-plugin", "good", GOOD.format(name="fape2"))
    assert discovery.component("loss", "fape2").summary == "a copy"
    recipe = load_recipe("v13", values={"losses.fape2.weight": 1.0})
    assert "fape2" in recipe.active_losses


def test_two_strangers_of_one_name_are_both_named_and_neither_wins(install: Install) -> None:
    install("first", "first", GOOD.format(name="same"))
    install("second", "second", GOOD.format(name="same"))
    with pytest.raises(RequestError, match=r"claimed by .*; uninstall one") as caught:
        discovery.component("loss", "same")
    assert "first 1.0" in str(caught.value)
    assert "second 1.0" in str(caught.value)


def test_what_is_minifolds_own_stays_so(install: Install, tmp_path: Path) -> None:
    install("rival", "rival", GOOD.format(name="fape"))
    install("other", "ipa", GOOD.format(name="other"))
    install("third", "v13", "", group="minifold.versions")
    found = discovery.find_components()
    assert found.items["loss/fape"].origin.distribution == "minifold"
    assert found.items["denoiser/ipa"].origin.distribution == "minifold"
    assert "loss/other" not in found.items
    told = {problem.origin.distribution: problem.cause for problem in found.problems}
    assert told == {
        "rival": "component 'loss/fape' is minifold's own and stays so",
        "other": "plugin 'ipa' is minifold's own and stays so",
    }
    assert load_recipe("v13").id == "v13"
    (problem,) = discovery.find_versions().problems
    assert problem.origin.distribution == "third"


def test_an_unrelated_plugin_without_its_config_spoils_no_refusal(
    install: Install, tmp_path: Path
) -> None:
    source = GOOD.format(name="x").replace("FAPEConfig", "Missing").replace('"loss"', '"head"')
    install("bad", "bad", source)
    bare = tmp_path / "bare.toml"
    bare.write_text("[training]\nlearning_rate = 1\n[losses.rg]\nweight = 1\n")
    said = "rg needs port 'log_rg'; heads.rg 'rg' gives it where there is port 'single'. Use --set"
    with pytest.raises(RequestError, match=said):
        wire(load_recipe(bare))
    with pytest.raises(MinifoldError, match=r"minifold_losses.config:Missing' cannot be imported"):
        load_recipe("v13", components={"heads.rg": "x"})
    assert [f.what for f in diagnose() if not f.ok] == ["plugin bad (bad 1.0)"]


def test_a_damaged_distribution_spoils_no_other(install: Install, tmp_path: Path) -> None:
    install("bad", "bad", "")
    (tmp_path / "bad-1.0.dist-info" / "entry_points.txt").write_text(
        "[minifold.plugins]\nno sign\n"
    )
    discovery.refresh()
    assert "denoiser/ipa" in discovery.find_components().items
    assert [problem.mend for problem in discovery.find_components().problems] == ["reinstall it"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("recipe.toml", "a = ["),
        ("recipe.toml", 'extends = "v99"'),
        ("registry.toml", "[models.v20]\nstatsu = 'current'"),
        ("manifest.json", "[]"),
    ],
)
def test_a_broken_version_is_told_of_and_the_others_are_listed(
    install: Install, tmp_path: Path, name: str, text: str
) -> None:
    install("strange", "v20=strange_version", "", group="minifold.versions")
    package = tmp_path / "strange_version"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "recipe.toml").write_text('extends = "v13"')
    (package / name).write_text(text)
    usual = [row["id"] for row in list_models() if row["id"] != "v20"]
    discovery.refresh()
    assert [row["id"] for row in list_models()] == usual
    (problem,) = problems()
    assert problem.origin.distribution == "strange"


def test_a_version_without_a_recipe_is_listed_as_a_problem(install: Install) -> None:
    install("ghost", "v99=ghost", "", group="minifold.versions")
    assert "v99" not in discovery.find_versions().items
    with pytest.raises(RequestError, match=r"version 'v99' cannot be used: v99 .ghost 1.0.*"):
        discovery.version_package("v99")
    assert list_models()


def test_natural_order() -> None:
    names = ["v10", "v8", "v11b", "v12", "v11", "v9", "v12b", "contact"]
    assert sorted(names, key=natural) == [
        "contact",
        "v8",
        "v9",
        "v10",
        "v11",
        "v11b",
        "v12",
        "v12b",
    ]


def test_listing_filters() -> None:
    def ids(**filters: object) -> list[str]:
        return [row["id"] for row in list_models(**filters)]  # type: ignore[arg-type]

    published = ["contact", "v8", "v9", "v10", "v11", "v11b", "v12", "v12b", "v13", "v14"]
    assert ids(exclude=["v13-*", "v15*"]) == published
    assert ids(patterns=["v12*"], exclude=["v12"]) == ["v12b"]
    assert ids(uses="triangle", exclude=["v13-*", "v15-*"]) == ["v13", "v14", "v15"]
    assert ids(status="current") == ["contact", "v13"]
    assert ids(has_weights=True) == ["contact", "v13", "v15"]
    with pytest.raises(RequestError, match="did you mean 'current'"):
        list_models(status="curent")
    with pytest.raises(RequestError, match="no version matches 'v133'"):
        list_models(["v133"])
    with pytest.raises(RequestError, match="unknown component 'triangel'; did you mean 'triangle'"):
        list_models(uses="triangel")
