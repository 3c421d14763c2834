"""Whose fault it is, where an error comes up that nobody foresaw, and what a plugin lacks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from minifold_core.cli.blame import blame
from minifold_core.errors import did_you_mean
from plugin_files import GOOD, HOOKS, write_distribution

Minifold = Callable[..., subprocess.CompletedProcess[str]]
PLUGIN = (
    HOOKS
    + """
@hookimpl
def minifold_components():
    heads = [ComponentSpec("head", name, "minifold_heads.config:RgHeadConfig",
                           "blame_head:" + name.title(), "x") for name in ("own", "deep", "sound")]
    return [*heads, ComponentSpec("loss", "lump", "minifold_losses.config:RgConfig",
                                  "blame_head:Lump", "returns one number")]
"""
)
HEAD = """
import torch
from minifold_heads.rg import RgHead
from minifold_losses.heads import RgLoss

class Own(RgHead):
    def forward(self, *, single, mask):
        raise KeyError("no such residue")

class Deep(RgHead):
    def forward(self, *, single, mask):
        return {"log_rg": torch.linalg.inv(single)}

class Sound(RgHead):
    pass

class Lump(RgLoss):
    def __call__(self, prediction, truth):
        return super().__call__(prediction, truth).mean()
"""
TOLD = "; --debug shows where. Tell its author, or do without it (--no-plugins, MINIFOLD_PLUGINS)"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory of ``sys.path`` with a plugin whose heads fail, and three that lack something."""
    root = tmp_path_factory.mktemp("site")
    write_distribution(root, "blame-plugin", "blame", PLUGIN)
    (root / "blame_head.py").write_text(HEAD)
    for name, needs in {
        "newer": ("torch>=1", "minifold>=99"),
        "fits": ("minifold>=0.0.1", "minifold>=99; extra == 'more'", "minifold_other>=99"),
        "older": ("MiniFold<0.0.1",),
    }.items():
        write_distribution(root, f"{name}-plugin", name, GOOD.format(name=name), needs=needs)
    broken = "from minifold_core.no_such_module import thing"
    write_distribution(root, "breaks-plugin", "breaks", broken, needs=("minifold>=99",))
    return os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize(
    ("head", "error"), [("own", "KeyError: 'no such residue'"), ("deep", "must be batches of sq")]
)
def test_a_head_that_fails_in_training_is_named_with_its_distribution_and_module(
    path: str, head: str, error: str, minifold: Minifold, tmp_path: Path
) -> None:
    """Also where torch raises the error, which the head called."""
    few = ("--size", "nano", "--max-steps", 1, "--run-dir", tmp_path / "run")
    done = minifold("train", "v13", "--with", f"heads.rg={head}", *few, PYTHONPATH=path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert error in done.stderr
    assert last.endswith(f"this is a fault of plugin blame (blame-plugin 1.0), in blame_head{TOLD}")
    assert "Traceback" not in done.stderr


def test_a_loss_that_returns_one_number_is_told_what_is_needed(
    path: str, minifold: Minifold, tmp_path: Path
) -> None:
    few = ("--size", "nano", "--max-steps", 1, "--run-dir", tmp_path / "run")
    done = minifold("train", "v13", "--set", "losses.lump.weight=1", *few, PYTHONPATH=path)
    assert done.returncode == 1
    assert "loss 'lump' of plugin blame (blame-plugin 1.0) returns [] for " in done.stderr
    needed = "; one value per protein, [B], is needed (minifold plugins check loss/lump)"
    assert needed in done.stderr


def test_weights_name_the_package_without_which_they_cannot_be_read(
    path: str, minifold: Minifold, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    few = ("--size", "nano", "--max-steps", 1, "--run-dir", run)
    done = minifold("train", "v13", "--with", "heads.rg=sound", *few, PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    done = minifold("sample", run, "--length", 20, "--out", tmp_path / "samples")
    assert done.returncode == 2
    assert "unknown head 'sound'" in done.stderr
    assert done.stderr.endswith("It was made with blame-plugin 1.0: install that\n")


def test_what_minifold_calls_is_minifolds_fault() -> None:
    with pytest.raises(TypeError) as caught:
        did_you_mean(3, ["a"])  # raised in a library
    assert blame(caught.value, ["train"]) == "this is a fault of minifold, --debug shows where"


def test_a_distribution_that_needs_another_minifold_is_named(path: str, minifold: Minifold) -> None:
    done = minifold("plugins", "list", "--json", PYTHONPATH=path)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["fits"]["problems"] == []
    for name, need in {"newer": "minifold>=99", "older": "minifold<0.0.1"}.items():
        (problem,) = rows[name]["problems"]
        assert problem["cause"].startswith(f"it needs {need}, this is minifold 0.")
        assert problem["mend"] == f"pip install '{need}', or uninstall {name}-plugin"
        assert rows[name]["components"] == [f"loss/{name}"]
    assert [p["cause"].split(" ")[0] for p in rows["breaks"]["problems"]] == ["importing", "it"]
    done = minifold("plugins", "check", "newer", PYTHONPATH=path)
    assert done.returncode == 1
    assert "FAIL newer (newer-plugin 1.0): it needs minifold>=99" in done.stdout
    done = minifold("doctor", PYTHONPATH=path)
    assert "FAIL plugin newer (newer-plugin 1.0): it needs minifold>=99" in done.stdout


def test_ctrl_c_in_a_command_without_a_word_for_it_is_told() -> None:
    code = (
        "import os, signal, sys\n"
        "from minifold_core import catalogue\n"
        "from minifold_core.cli.main import run\n"
        # A job in the background, such as these tests may be, ignores the signal.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "catalogue.list_models = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.exit(run(['list-models', '--json']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGINT, "")
    assert done.stderr == "minifold: error: stopped; what is written stays\n"
