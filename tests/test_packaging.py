"""The wheel holds everything and works without the source tree."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*build, "--wheel-dir", str(out), str(ROOT)], check=True)
    (made,) = out.glob("minifold-*.whl")
    return made


def test_nothing_beneath_the_command_line_imports_it() -> None:
    """But for the two modules that docs/architecture.md names."""
    core = ROOT / "minifold_core"
    asking = {
        path.relative_to(core).as_posix()
        for path in core.rglob("*.py")
        if re.search(r"^\s*(from|import) minifold_core\.cli\b", path.read_text(), re.MULTILINE)
    }
    beneath = {name for name in asking if not name.startswith("cli/")}
    assert beneath == {"discovery.py", "testing/commands.py"}


def test_the_wheel_holds_every_package_and_data_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "minifold_core", "plugins/minifold_*", "versions/minifold_*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout: what the wheel should hold is not known")
    expected = {name.removeprefix("plugins/").removeprefix("versions/") for name in tracked}
    assert expected <= held
    assert "minifold_core/registry.toml" in held
    assert not {name for name in held if name.startswith(("tests/", "docs/", "benchmarks/"))}


def listed(text: str) -> list[dict[str, Any]]:
    """What list-models says, without where on this machine weights lie."""
    rows: list[dict[str, Any]] = json.loads(text)
    for row in rows:
        for weights in row["weights"]:
            weights["location"] = Path(weights["location"]).name
    return rows


def test_an_installed_wheel_lists_the_same_models(
    wheel: Path, tmp_path: Path, minifold: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """In an environment of its own that borrows the dependencies but not the source tree."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    purelib = Path(
        sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})
    )
    (purelib / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run([*install, "--ignore-installed", "--quiet", str(wheel)], check=True)
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    script = environment / "bin" / "minifold"
    done = subprocess.run(
        [str(script), "list-models", "--json"],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed(done.stdout) == listed(minifold("list-models", "--json").stdout)
    where = (
        "import minifold_core, minifold_v13; print(minifold_core.__file__, minifold_v13.__file__)"
    )
    places = subprocess.run(
        [str(python), "-c", where],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert all(place.startswith(str(environment)) for place in places)
    subprocess.run([str(script), "doctor"], cwd=tmp_path, env=variables, check=True)
