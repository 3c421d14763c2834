"""Weights that come with a version or are named by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from minifold_core import discovery
from minifold_core.catalogue import list_models
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.home import home
from minifold_core.weights.find import find_weights
from minifold_core.weights.header import read_header
from minifold_core.weights.known import known_weights
from minifold_core.weights.own import add, remove
from minifold_core.weights.seen import descent, learned_from
from weights_files import perturbed, save, sha256

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def shipped(
    stock: dict[str, Path], b30: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The weights of a version v20, which lie beside its recipe."""
    site = tmp_path / "site"
    package, info = site / "strange_version", site / "strange-1.0.dist-info"
    (package / "weights").mkdir(parents=True)
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strange\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[minifold.versions]\nv20 = strange_version\n")
    (package / "__init__.py").touch()
    (package / "recipe.toml").write_text('extends = "v12b"\n')
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", str(site))
    discovery.refresh()
    yield save(package / "weights" / "nano.safetensors", perturbed("v20"))
    monkeypatch.undo()
    discovery.refresh()


def test_weights_that_ship_are_named_by_their_size(
    minifold: Minifold, shipped: Path, b30: Path
) -> None:
    (row,) = json.loads(minifold("weights", "list", "v20", "--json").stdout)
    assert (row["name"], row["origin"]) == ("v20:nano", "shipped")
    assert (row["location"], row["size"]) == (str(shipped), "nano")
    assert "v20" in [row["id"] for row in list_models(has_weights=True)]
    listed = json.loads(minifold("list-models", "v20", "--has-weights", "--json").stdout)
    assert [weights["name"] for weights in listed[0]["weights"]] == ["v20:nano"]
    assert "v20 (nano)" in minifold("inspect", "v20:nano").stdout
    with pytest.raises(RequestError, match="v20:nano came with v20; only your own"):
        remove("v20:nano")

    mine = save(b30.with_name("mine.safetensors"), perturbed("v20", **{"denoiser.d_time": 16}))
    with pytest.raises(ProtectedError, match=r"\(shipped\), another file"):
        add("v20:nano", str(mine))
    add("v20:nano", str(mine), replace=True)
    assert find_weights("v20:nano") == mine
    remove("v20:nano")
    assert find_weights("v20:nano") == shipped

    damaged = bytearray(shipped.read_bytes())
    damaged[-1] ^= 1
    shipped.write_bytes(damaged)
    done = minifold("weights", "verify", "v20:nano")
    assert (done.returncode, f"FAIL v20:nano: {shipped}: differs" in done.stdout) == (1, True)
    assert minifold("inspect", "v20:nano").returncode == 3


def test_what_a_versions_registry_names_is_known_too(shipped: Path, b30: Path) -> None:
    digest = sha256(b30)
    (shipped.parent.parent / "registry.toml").write_text(
        f"[[models.v20.weights]]\ntag = 'p'\nlocation = 'https://x.org/p'\nsha256 = '{digest}'\n"
    )
    known = known_weights().items["v20:p"]
    assert (known.origin, known.state()) == ("published", "not fetched")
    assert known.file == home() / "weights" / digest[:16] / "p"


def test_what_ships_is_what_the_registry_has_recorded(shipped: Path, b30: Path) -> None:
    (shipped.parent.parent / "registry.toml").write_text(
        f"[[models.v20.weights]]\ntag = 'nano'\nsha256 = '{sha256(shipped)}'\n"
        "note = 'two hours'\nmetrics = { tm = 0.25 }\n"
    )
    known = known_weights().items["v20:nano"]
    assert (known.origin, known.state(), known.entry.note) == ("shipped", "ok", "two hours")
    assert known.file == shipped
    assert known.metrics() == read_header(shipped).metrics | {"tm": 0.25}
    # Sound weights, and not those of the record.
    save(shipped, perturbed("v20", **{"denoiser.d_time": 16}))
    assert known.state() == "differs"
    shipped.unlink()
    assert (known.state(), known.metrics()) == ("missing", {"tm": 0.25})
    with pytest.raises(RequestError, match="reinstall the package of v20"):
        known.locate()


def test_files_that_do_not_record_their_descent_are_known_by_parents_and_migrations(
    shipped: Path, b30: Path
) -> None:
    (shipped.parent.parent / "registry.toml").write_text(
        f"[[models.v20.weights]]\ntag = 'nano'\nsha256 = '{sha256(shipped)}'\n"
        "familiar = ['1lcd.A', '2ofg.X', 'elsewhere.A']\n"
    )
    chains = list(open_dataset().subset("validation"))

    def knows(path: Path, **fields: object) -> tuple[str, ...]:
        header = read_header(path).model_copy(update=fields)
        return learned_from(descent(sha256(path), header), chains, "")

    assert knows(shipped) == ("1lcd.A", "2ofg.X")
    assert knows(b30) == ()
    assert knows(b30, parents={"encoder": sha256(shipped)}) == ("1lcd.A", "2ofg.X")
    migrated = [{"source": {"sha256": sha256(shipped)}}, {"source": {}}]
    assert knows(b30, migrations=migrated) == ("1lcd.A", "2ofg.X")


def test_all_that_ships_here_is_sound(minifold: Minifold) -> None:
    done = minifold("weights", "verify")
    assert done.returncode == 0, done.stdout
    assert "ok   contact:nano" in done.stdout
