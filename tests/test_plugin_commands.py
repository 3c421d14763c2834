"""Commands that plugins add."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from plugin_files import HOOKS, write_distribution

Minifold = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = (
    HOOKS
    + """
@hookimpl
def minifold_commands():
    return {"pack": "packing:app", "count": "packing:count", "lost": "packing:nothing",
            "train": "packing:count"}
"""
)
MODULE = '''
import typer
from minifold_core.errors import RequestError

app = typer.Typer(help="Pack side chains.")

@app.command("file")
def file(name: str) -> None:
    """One file."""
    if name == "none":
        raise RequestError("there is no file 'none'")
    print("packed", name)

def count(number: int, twice: bool = False) -> None:
    """Count to a number."""
    print(8 // number * (1 + twice))
'''


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, minifold: Minifold) -> Minifold:
    """Run a command beside a plugin that adds some, one of them under a taken name."""
    root = tmp_path_factory.mktemp("site")
    write_distribution(root, "packing-plugin", "packing", PLUGIN)
    (root / "packing.py").write_text(MODULE)
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return lambda *arguments: minifold(*arguments, PYTHONPATH=path)


def test_they_stand_in_help_and_run(beside: Minifold) -> None:
    text = beside("--help").stdout
    assert "  pack " in text
    assert "Pack side chains." in text
    assert "Count to a number." in text
    assert beside("pack", "file", "1ubq.pdb").stdout == "packed 1ubq.pdb\n"
    assert beside("count", "4", "--twice").stdout == "4\n"
    assert "--twice" in beside("count", "--help").stdout
    (row,) = [r for r in json.loads(beside("plugins", "list", "--json").stdout) if r["commands"]]
    assert row["commands"] == ["pack", "count", "lost"]


def test_their_errors_end_as_minifolds_own_do(beside: Minifold) -> None:
    done = beside("pack", "file", "none")
    assert (done.returncode, done.stderr) == (2, "minifold: error: there is no file 'none'\n")
    done = beside("count", "0")
    assert done.returncode == 1
    assert "this is a fault of plugin packing (packing-plugin 1.0)" in done.stderr
    done = beside("count", "many")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_a_command_that_cannot_be_imported_says_so_when_it_is_called(beside: Minifold) -> None:
    done = beside("lost", "--whatever", "x")
    assert done.returncode == 1
    assert "packing:nothing" in beside("plugins", "check", "packing").stdout
    assert "command 'lost' of plugin packing (packing-plugin 1.0)" in done.stderr
    assert "packing:nothing" in done.stderr


def test_minifolds_own_name_cannot_be_taken(beside: Minifold) -> None:
    assert "Train a version" in beside("train", "--help").stdout
    text = beside("plugins", "list").stdout
    assert "command 'train' is minifold's own and stays so" in text
    done = beside("--no-plugins", "pack", "file", "x")
    assert done.returncode == 2
    assert "No such command 'pack'" in done.stderr


@pytest.mark.parametrize("command", [["data", "--help"], ["train", "--help"]])
def test_no_plugin_is_loaded_for_a_built_in_command(command: list[str]) -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        f"run({command!r})\n"
        "print([m for m in sys.modules if m.startswith('minifold_') and m.endswith('.plugin')], "
        "'pluggy' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] False"
