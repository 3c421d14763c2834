"""``plugins new``: what it writes is green at once, is found, and trains."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, get_args

import pytest

from minifold_core.cli.plugins_new import LONGEST
from minifold_core.discovery import find_components
from minifold_core.scaffold import PARTS, NewKind, NewPackage

Minifold = Callable[..., subprocess.CompletedProcess[str]]
KINDS: tuple[NewKind, ...] = get_args(NewKind)


class Made(NamedTuple):
    """Packages of every kind in ``home``, installed into ``site``; what was said of each."""

    home: Path
    site: Path
    said: dict[str, str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, minifold: Minifold) -> Made:
    home = tmp_path_factory.mktemp("new")
    said = {}
    for kind in KINDS:
        done = minifold("plugins", "new", f"try-{kind[:4]}", "--kind", kind, cwd=home)
        assert done.returncode == 0, done.stderr
        said[kind] = done.stdout
    site = home / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    install += ["--no-build-isolation", "--target", str(site)]
    subprocess.run([*install, *map(str, home.glob("minifold-*"))], check=True)
    return Made(home, site, said)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_passes_its_own_tests_and_takes_a_training_step(
    made: Made, kind: NewKind
) -> None:
    """Its last test is the training command that was printed, for one step."""
    directory = made.home / f"minifold-try-{kind[:4]}"
    command = made.said[kind].splitlines()[-1].removeprefix("  minifold ")
    assert f"minifold {command}\n" in (directory / "README.md").read_text()
    (test,) = directory.glob("tests/*.py")
    (tried,) = re.findall(r'TRAIN = """\n(.*?)"""', test.read_text(), re.DOTALL)
    assert tried.split() == command.split()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(directory)],
        cwd=made.home,
        env=os.environ | {"PYTHONPATH": str(made.site), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_new_packages_are_listed_with_their_origin(made: Made, minifold: Minifold) -> None:
    listed = json.loads(minifold("plugins", "list", "--json", PYTHONPATH=str(made.site)).stdout)
    rows = {row["name"]: row for row in listed if row["distribution"] != "minifold"}
    for kind in KINDS:
        name = f"try_{kind[:4]}"
        row = rows.pop(name)
        assert row["state"] == "ok", row["problems"]
        assert row["distribution"] == f"minifold-{name.replace('_', '-')}"
        assert row["kind"] == ("version" if kind == "version" else "plugin")
        assert row["components"] == [f"{part.kind}/{name}" for part in PARTS[kind]]
    assert not rows
    models = json.loads(minifold("list-models", "--json", PYTHONPATH=str(made.site)).stdout)
    (version,) = [row for row in models if row["id"] == "try_vers"]
    assert version["parents"] == ["v13"]
    assert version["summary"]


@pytest.mark.parametrize("name", ["q", f"a_{'b' * (LONGEST - 2)}", "v2_x"])
def test_whatever_the_name_the_code_is_clean_and_formatted(name: str, tmp_path: Path) -> None:
    for kind in KINDS:
        parent = "contact" if kind == "version" else ""
        for path, text in NewPackage(name, kind, parent).files().items():
            file = tmp_path / kind / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            assert text.endswith("\n")
            assert "{{" not in text
            if file.suffix == ".py":
                assert max(map(len, text.splitlines())) <= 100
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("rg --kind head", 2, "component 'head/rg' is there already, from minifold"),
        ("bond --kind head", 2, "component 'loss/bond' is there already"),
        ("losses --kind encoder", 2, "plugin 'losses' is there already"),
        ("v13 --kind version", 2, "version 'v13' is there already"),
        ("core --kind head", 2, "a package 'minifold_core' is installed already"),
        ("class --kind head", 2, "'class' cannot name a package"),
        ("../evil --kind head", 2, "'../evil' cannot name a package"),
        ("a --kind banana", 2, "'banana' is not one of 'head'"),
        ("a --kind version --extends v133", 2, "unknown version 'v133'; did you mean 'v13'?"),
        ("a --kind head --extends v13", 2, "--extends goes with --kind version"),
        ("a --kind head --out there", 3, "there exists; choose another --out"),
        ("a --kind head --out file/a", 1, "file/a cannot be written"),
    ],
)
def test_a_bad_request_is_refused_and_nothing_is_written(
    words: str, code: int, told: str, tmp_path: Path, minifold: Minifold
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    done = minifold("plugins", "new", *words.split(), cwd=tmp_path)
    assert done.returncode == code
    assert told in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}


def test_a_name_that_only_another_kind_has_is_free(tmp_path: Path, minifold: Minifold) -> None:
    assert "loss/omega" in find_components().items
    done = minifold("plugins", "new", "omega", "--kind", "denoiser", "--out", tmp_path / "a b")
    assert done.returncode == 0, done.stderr
    assert f"pip install -e '{tmp_path}/a b[test]'" in done.stdout
    assert (tmp_path / "a b" / ".gitignore").is_file()
