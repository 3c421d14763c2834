"""Names for weights: given, used, checked and taken away, as a user does it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from minifold_core.catalogue import list_models, problems
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.home import HOME_VARIABLE, home
from minifold_core.registry import read_registry
from minifold_core.weights.find import find_weights
from minifold_core.weights.header import read_header
from minifold_core.weights.known import known_weights, own_registry
from minifold_core.weights.own import add, remove
from weights_files import perturbed, save, sha256

Minifold = Callable[..., subprocess.CompletedProcess[str]]


def test_the_home_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOME_VARIABLE, "~/elsewhere")
    assert home() == Path.home() / "elsewhere"
    monkeypatch.setenv(HOME_VARIABLE, "")
    assert home() == Path.home() / ".minifold"


def test_a_name_stands_wherever_weights_are_taken(
    minifold: Minifold, b30: Path, tmp_path: Path
) -> None:
    named = minifold("weights", "add", "v12b:b30", b30.name, "--note", "best", cwd=tmp_path)
    assert (named.returncode, "v12b:b30" in named.stdout) == (0, True), named.stderr
    (row,) = json.loads(minifold("weights", "list", "v12b", "--json").stdout)
    header = read_header(b30)
    assert row == {
        "name": "v12b:b30",
        "tag": "b30",
        "origin": "own",
        "location": str(b30),
        "present": True,
        "sha256": sha256(b30),
        "bytes": b30.stat().st_size,
        "size": "nano",
        "note": "best",
        "metrics": header.metrics,
    }
    assert json.loads(minifold("weights", "list", "v12", "--json").stdout) == []

    assert json.loads(minifold("inspect", "v12b:b30", "--json").stdout)["sha256"] == sha256(b30)
    planned = minifold("migrate", "v12b:b30", "--to", "v13", "--dry-run")
    assert "the plan holds" in planned.stderr
    run = tmp_path / "run"
    start = ["--init-from", "v12b:b30", "--max-steps", 1, "--run-dir", run]
    trained = minifold("train", "v13", "--size", "nano", *start)
    assert trained.returncode == 0, trained.stderr
    parents = read_header(run / "last.safetensors").parents
    assert (parents["denoiser"], "pair_stack" in parents) == (sha256(b30), False)
    encoder = ["--encoder-from", "v12b:b30", "--dry-run", "--run-dir", tmp_path / "none"]
    trained = minifold("train", "v13", "--size", "nano", *encoder)
    assert "encoder: weights of v12b:b30" in trained.stderr
    sampled = minifold("sample", "v12b:b30", "--length", 9, "--steps", 2, "--out", tmp_path / "o")
    assert sampled.returncode == 0, sampled.stderr

    whole = minifold("inspect", "v12b", "--json")
    assert json.loads(whole.stdout)["sha256"] == sha256(b30)
    assert whole.stderr == "weights: v12b:b30\n"
    assert minifold("inspect", "contact").stderr == (
        "weights: contact:full of contact:full, contact:nano\n"
    )
    minifold("weights", "add", "v12b:b5", b30.name, cwd=tmp_path)
    several = minifold("inspect", "v12b")
    assert (several.returncode, several.stdout) == (2, "")
    assert "v12b has several weights; name one of v12b:b30, v12b:b5" in several.stderr
    assert minifold("weights", "remove", "v12b:b5").returncode == 0

    missed = minifold("inspect", "v12b:b3O")
    assert missed.returncode == 2
    assert "unknown weights 'v12b:b3O'; did you mean 'v12b:b30'?" in missed.stderr
    assert minifold("inspect", "runs/v12b:b30").stderr.count("does not exist; give a run") == 1
    none = minifold("inspect", "v12")
    assert none.returncode == 2
    assert "v12 has no weights here: train it (minifold train v12 --size nano), or" in none.stderr


def test_a_path_that_exists_wins_over_a_name(
    b30: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("v12b:b30", str(b30))
    monkeypatch.chdir(tmp_path)
    assert find_weights("v12b:b30") == b30
    run = tmp_path / "v12b:b30"
    run.mkdir()
    with pytest.raises(RequestError, match="holds no best"):
        find_weights(Path("v12b:b30"))
    shutil.copy(b30, run / "last.safetensors")
    assert find_weights(Path("v12b:b30")) == Path("v12b:b30/last.safetensors")


def test_neither_listing_nor_planning_imports_anything_heavy(b30: Path) -> None:
    add("v12b:b30", str(b30))
    for request in (
        ["weights", "list"],
        ["weights", "verify"],
        ["weights", "add", "v12b:again", str(b30)],
        ["weights", "remove", "v12b:again"],
        ["list-models", "--has-weights"],
        ["migrate", "v12b:b30", "--to", "v13", "--dry-run"],
    ):
        code = (
            f"import sys\nfrom minifold_core.cli.main import run\ncode = run({request!r})\n"
            "heavy = ('torch', 'numpy', 'biotite', 'matplotlib')\n"
            "sys.exit(code or ' '.join(m for m in heavy if m in sys.modules) or None)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, (request, done.stderr)


def test_a_listed_path_is_whole_however_narrow_the_terminal(minifold: Minifold, b30: Path) -> None:
    add("v12b:b30", str(b30), note="the best of them")
    add("v12b:gone", str(shutil.copy(b30, b30.with_name("gone.safetensors"))))
    b30.with_name("gone.safetensors").unlink()
    lines = minifold("weights", "list", "v12b", COLUMNS="40").stdout.splitlines()
    assert f"v12b:b30: {b30}" in lines
    assert f"v12b:gone: {b30.with_name('gone.safetensors')} (missing)" in lines


def test_a_name_passes_to_another_file_only_on_request(
    stock: dict[str, Path], b30: Path, tmp_path: Path
) -> None:
    add("v12b:b30", str(b30), note="first")
    other = save(tmp_path / "other.safetensors", perturbed("v12b", **{"denoiser.d_time": 16}))
    before = own_registry().read_bytes()
    with pytest.raises(ProtectedError, match=r"v12b:b30 is .*b30.* \(own\), another file"):
        add("v12b:b30", str(other))
    with pytest.raises(RequestError, match="holds weights of v13, not of v12b; call it v13:b30"):
        add("v12b:b30", str(stock["v13"]), replace=True)
    with pytest.raises(ProtectedError, match=f"SHA-256 is {sha256(other)}, not {sha256(b30)}"):
        add("v12b:b31", str(other), sha256=sha256(b30))
    assert own_registry().read_bytes() == before
    moved = b30.rename(tmp_path / "moved.safetensors")
    add("v12b:b30", str(moved), sha256=sha256(moved).upper())  # the same file elsewhere is no other
    assert find_weights("v12b:b30") == moved
    add("v12b:b30", str(other), replace=True)
    assert find_weights("v12b:b30") == other
    assert len(read_registry(own_registry())["v12b"].weights) == 1


def test_files_that_are_not_what_was_named_are_refused_and_found(
    minifold: Minifold, stock: dict[str, Path], b30: Path, tmp_path: Path
) -> None:
    gone = Path(shutil.copy(b30, tmp_path / "gone.safetensors"))
    for name, path in (("v12b:b30", b30), ("v12b:gone", gone), ("v13:good", stock["v13"])):
        add(name, str(path))
    assert minifold("weights", "verify").returncode == 0
    gone.unlink()
    shutil.copy(stock["v13"], b30)
    done = minifold("weights", "verify")
    assert done.returncode == 1
    *lines, count = done.stdout.splitlines()
    assert lines[-3:] == [
        f"FAIL v12b:b30: {b30}: differs",
        f"FAIL v12b:gone: {gone}: missing",
        f"ok   v13:good: {stock['v13']}",
    ]
    assert count == f"{len(lines)} checked, 2 failed"
    rows = json.loads(minifold("weights", "verify", "v12b:gone", "--json").stdout)
    assert [(row["name"], row["state"]) for row in rows] == [("v12b:gone", "missing")]
    assert minifold("weights", "verify", "v13:good").returncode == 0
    assert minifold("inspect", "v12b:b30").returncode == 3
    refused = minifold("inspect", "v12b:gone")
    assert refused.returncode == 2
    assert f"{gone} is missing" in refused.stderr


def test_removing_a_name_keeps_the_file(minifold: Minifold, b30: Path) -> None:
    add("v12b:b30", str(b30))
    add("v12b:c", str(b30))
    done = minifold("weights", "remove", "v12b:b30")
    assert (done.returncode, f"{b30} stays" in done.stdout) == (0, True)
    assert b30.is_file()
    assert [name for name in known_weights().items if name.startswith("v12b:")] == ["v12b:c"]
    with pytest.raises(RequestError, match="your own are called 'v12b:b30'; did you mean"):
        remove("v12b:b30")


@pytest.mark.parametrize("name", ["v12b", "v12b:", ":b30", "v12b:a/b", "v12b: a", "v12b:a\nb"])
def test_names_that_are_none(b30: Path, name: str) -> None:
    with pytest.raises(RequestError, match="is no name for weights"):
        add(name, str(b30))
    assert not own_registry().exists()


def test_any_other_tag_will_do(b30: Path) -> None:
    for tag in ("epoch 30 (best)", "b:30", "0.1", "größer", "."):
        add(f"v12b:{tag}", str(b30))
        assert find_weights(Path(f"v12b:{tag}")) == b30


def test_a_strangers_file_is_taken_for_an_installed_version(b30: Path, tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(2)}}, tmp_path / "theirs.pt")
    known = add("v12b:theirs", str(tmp_path / "theirs.pt"))
    assert (known.entry.size, known.entry.metrics) == ("", {})
    with pytest.raises(RequestError, match="unknown version 'v133'; did you mean 'v13'"):
        add("v133:theirs", str(tmp_path / "theirs.pt"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema = 2", "has schema 2, newer than 1; update minifold"),
        ("models = [", "cannot be read"),
        ("[models.v12b]\nwieghts = 1", "wieghts"),
        ("[[models.v12b.weights]]\ntag = 'a'\nlocation = '/a'", "v12b:a has no sha256"),
        ("[[models.v12b.weights]]\ntag = 'a'\nlocation = '/a'\nsha256 = 'ff'", "sha256"),
    ],
)
def test_a_registry_that_cannot_be_read_is_told_of_and_not_written_over(
    minifold: Minifold, b30: Path, text: str, said: str
) -> None:
    usual = [row["id"] for row in list_models()]
    own_registry().parent.mkdir()
    own_registry().write_text(text)
    assert [row["id"] for row in list_models()] == usual
    assert [said in str(problem) for problem in problems()] == [True]
    with pytest.raises(RequestError, match="not usable: your weights"):
        find_weights("v12b:a")
    with pytest.raises(MinifoldError, match=str(own_registry())):
        add("v12b:b30", str(b30))
    assert own_registry().read_text() == text
    done = minifold("weights", "list")
    assert (done.returncode, done.stderr.count("warning: left out your weights")) == (0, 1)
    assert minifold("weights", "verify").returncode == 1


def test_what_stands_beside_the_weights_in_the_registry_stays(b30: Path) -> None:
    own_registry().parent.mkdir()
    own_registry().write_text("schema = 1\n[models.v12b]\nsummary = 'mine'\n")
    add("v12b:b30", str(b30))
    remove("v12b:b30")
    assert read_registry(own_registry())["v12b"].summary == "mine"
