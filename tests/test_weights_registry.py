"""Names for weights: given, used, checked and taken away, as a user does it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from minifold_core import discovery
from minifold_core.catalogue import list_models, problems
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.home import HOME_VARIABLE, home
from minifold_core.registry import read_registry
from minifold_core.weights.find import find_weights
from minifold_core.weights.header import read_header
from minifold_core.weights.known import known_weights, own_registry
from minifold_core.weights.own import add, remove
from web_site import Site
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of two versions; do not change them."""
    root = tmp_path_factory.mktemp("stock")
    return {v: save(root / f"{v}.safetensors", perturbed(v)) for v in ("v12b", "v13")}


@pytest.fixture
def b30(stock: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of v12b to change at will, and a home of its own."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Path(shutil.copy(stock["v12b"], tmp_path / "b30.safetensors"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    assert (none.returncode, "v12 has no weights here: train it" in none.stderr) == (2, True)


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


def test_all_that_ships_here_is_sound(minifold: Minifold) -> None:
    done = minifold("weights", "verify")
    assert done.returncode == 0, done.stdout
    assert "ok   contact:nano" in done.stdout


@pytest.fixture
def site(b30: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serves ``b30.safetensors``, and a page that is no weights."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    root = tmp_path / "served"
    root.mkdir()
    shutil.copy(b30, root)
    (root / "login.html").write_text("<html>please log in</html>")
    with Site(root) as serving:
        yield serving


def cached() -> list[str]:
    """What lies in the cache, file by file."""
    return sorted(path.name for path in (home() / "weights").rglob("*") if path.is_file())


def test_a_url_is_fetched_once_and_checked_ever_after(
    minifold: Minifold, site: Site, b30: Path
) -> None:
    url = f"{site.url}/b30.safetensors?download=true"
    done = minifold("weights", "add", "v12b:b30", url)
    assert done.returncode == 0, done.stderr
    assert "no --sha256 was given" in done.stderr
    (row,) = json.loads(minifold("weights", "list", "v12b", "--json").stdout)
    assert (row["location"], row["sha256"], row["size"]) == (url, sha256(b30), "nano")
    copy = find_weights("v12b:b30")
    assert copy.name == "b30.safetensors"
    assert copy.read_bytes() == b30.read_bytes()
    assert copy.stat().st_mode & 0o777 == b30.stat().st_mode & 0o777
    assert (len(site.asked), cached()) == (1, ["b30.safetensors"])

    copy.write_bytes(b"damaged")
    assert minifold("weights", "verify").returncode == 1
    assert find_weights("v12b:b30").read_bytes() == b30.read_bytes()
    assert len(site.asked) == 2

    copy.unlink()
    done = minifold("weights", "verify")
    assert (done.returncode, done.stdout.count(": not fetched")) == (0, 1)
    (site.root / "b30.safetensors").write_bytes(b"another file")
    with pytest.raises(ProtectedError, match=r"SHA-256 is not .*; nothing was kept"):
        find_weights("v12b:b30")
    (site.root / "b30.safetensors").unlink()
    with pytest.raises(MinifoldError, match="cannot be fetched") as error:
        find_weights("v12b:b30")
    assert error.value.exit_code == 1
    assert cached() == []


def test_what_is_fetched_for_a_name_is_what_was_promised(site: Site, b30: Path) -> None:
    url = f"{site.url}/b30.safetensors"
    with pytest.raises(ProtectedError, match="SHA-256 is not 0000"):
        add("v12b:b30", url, sha256="0" * 64)
    with pytest.raises(RequestError, match=f"{site.url}/login.html is not a weights file"):
        add("v12b:b30", f"{site.url}/login.html")
    with pytest.raises(RequestError, match="64 hexadecimal digits"):
        add("v12b:b30", url, sha256="abc")
    assert cached() == []
    assert not own_registry().exists()
    assert add("v12b:b30", url, sha256=sha256(b30)).entry.location == url


@pytest.mark.parametrize(
    "url", ["http://example.org/a", "ftp://localhost/a", "file:///etc/passwd", "https://", "x://["]
)
def test_urls_that_are_refused(b30: Path, url: str) -> None:
    with pytest.raises(RequestError, match=r"give an https URL|is no URL"):
        add("v12b:b30", url)
