"""Eight broken plugins at once: each is named with its cause, and every command goes on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minifold_core.components import load
from minifold_core.discovery import find_components, find_versions
from minifold_core.errors import MinifoldError
from minifold_core.hookspecs import PROJECT
from minifold_core.testing.suite import CHECKS
from plugin_files import GOOD, HOOKS, write_distribution

Minifold = Callable[..., subprocess.CompletedProcess[str]]

COMPONENTS = "\n@hookimpl\ndef minifold_components():\n    "
FAULTS = {
    "imports": "raise RuntimeError('no such table')",
    "raises": HOOKS + COMPONENTS + "raise ValueError('no config today')",
    "misspells": GOOD.replace("minifold_components", "minifold_componets"),
    "wrong-type": HOOKS + COMPONENTS + "return {'loss': 'x'}",
    "takes": GOOD.format(name="fape"),
    "heavy": "import torch\n" + GOOD.format(name="heavy"),
    "lacks": "import nothing_of_that_name",
    "newer": GOOD.format(name="newer").replace("minifold_api = 1", "minifold_api = 99"),
}
CAUSES = {
    "imports": ("RuntimeError: no such table", "uninstall bad-imports"),
    "raises": ("minifold_components() raises ValueError: no config today", "uninstall bad-raises"),
    "misspells": ("did you mean 'minifold_components'?", "rename the function in bad_misspells"),
    "wrong-type": ("returned {'loss': 'x'}, which is no list", "uninstall bad-wrong-type"),
    "takes": ("component 'loss/fape' is minifold's own", "rename it"),
    "heavy": ("it imports torch", "as implementation"),
    "lacks": ("No module named 'nothing_of_that_name'", "pip install nothing_of_that_name"),
    "newer": ("needs plugin API 99, this minifold has 1", "pip install -U minifold"),
}
CONTACT = find_versions().items["contact"].directory / "weights" / "nano.safetensors"


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of ``sys.path`` with eight broken plugins and one that is in order."""
    root = tmp_path_factory.mktemp("site")
    for name, source in FAULTS.items():
        write_distribution(root, f"bad-{name}", name, source)
    write_distribution(root, "good-plugin", "good", GOOD.format(name="fape2"))
    typo = GOOD.format(name="typo").replace("FAPELoss", "FAPELos")
    write_distribution(root, "typo-plugin", "typo", typo)
    return root


@pytest.fixture(scope="module")
def beside(broken: Path, minifold: Minifold) -> Minifold:
    """Run a command beside the broken plugins."""
    path = os.pathsep.join([str(broken), os.environ.get("PYTHONPATH", "")])

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return minifold(*arguments, PYTHONPATH=path, **environment)

    return run


def plugins(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(done.stdout) if row["kind"] == "plugin"}


def test_all_eight_are_named_with_cause_and_mend(beside: Minifold) -> None:
    done = beside("plugins", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = plugins(done)
    assert {name for name, row in rows.items() if not row["ok"]} == set(FAULTS)
    for name, (cause, mend) in CAUSES.items():
        (problem,) = rows[name]["problems"]
        assert cause in problem["cause"]
        assert mend in problem["mend"]
        assert rows[name]["distribution"] == f"bad-{name}"
    assert rows["good"]["components"] == ["loss/fape2"]
    text = beside("plugins", "list").stdout
    assert all(f"broken: {name}: " in text for name in FAULTS)


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["list-models"],
        ["show", "v14"],
        ["show", "v13", "--resolved", "--json"],
        ["compare", "v12b", "v13"],
        ["weights", "list"],
        ["data", "info", "demo"],
        ["train", "v14", "--size", "nano", "--dry-run"],
        ["train", "v13", "--size", "nano", "--dry-run", "--set", "losses.fape2.weight=1"],
        ["migrate", str(CONTACT), "--to", "v13", "--dry-run", "--allow-mismatch"],
        ["inspect", str(CONTACT)],
        ["plugins", "check", "loss/bond"],
        ["plugins", "check", "good"],
    ],
    ids=" ".join,
)
def test_every_command_goes_on(beside: Minifold, command: list[str]) -> None:
    done = beside(*command)
    assert done.returncode == 0, done.stderr
    assert "bad-" not in done.stderr


def test_doctor_names_them_and_fails(beside: Minifold) -> None:
    done = beside("doctor", "--json")
    assert done.returncode == 1
    failed = {row["what"]: row["result"] for row in json.loads(done.stdout) if not row["ok"]}
    assert set(failed) == {f"plugin {name} (bad-{name} 1.0)" for name in FAULTS}
    assert all(cause in failed[f"plugin {n} (bad-{n} 1.0)"] for n, (cause, _) in CAUSES.items())


def test_checking_a_broken_plugin_says_why_it_cannot_be_used(beside: Minifold) -> None:
    done = beside("plugins", "check", "newer")
    assert done.returncode == 1
    assert "needs plugin API 99" in done.stdout
    done = beside("plugins", "check", "heavy")
    assert done.returncode == 1
    assert "FAIL heavy (bad-heavy 1.0): it imports torch" in done.stdout
    done = beside("plugins", "check", "good", "--no-plugins")
    assert done.returncode == 2
    assert "plugin good (good-plugin 1.0) is switched off" in done.stderr


def test_a_class_that_is_not_there_is_one_failure_and_nothing_else_is_run(beside: Minifold) -> None:
    done = beside("plugins", "check", "typo")
    assert done.returncode == 1
    failure, *rest, summary = done.stdout.splitlines()
    assert failure.startswith("FAIL loss/typo: 'minifold_losses.frames:FAPELos' cannot be imported")
    assert "did you mean 'FAPELoss'?" in failure
    assert len(rest) == len(CHECKS["loss"])
    assert all(line.startswith("--   loss/typo ") for line in rest)
    assert summary == f"1 checked, 1 failed, {len(rest)} not run"


def test_a_module_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(MinifoldError, match="did you mean 'frames'"):
        load("minifold_losses.frame:FAPELoss")


def test_the_list_keeps_names_whole_in_any_terminal(beside: Minifold) -> None:
    wide, narrow = (beside("plugins", "list", COLUMNS=str(n)).stdout for n in (100, 60))
    components = find_components().items.values()
    modules = {offer.origin.value for offer in components}
    assert len(modules) > 10
    assert all(module in wide for module in modules)
    assert all(offer.spec.name in text for offer in components for text in (wide, narrow))
    assert not any(module in narrow for module in modules)


def test_no_plugins_leaves_minifolds_own(beside: Minifold) -> None:
    rows = plugins(beside("plugins", "list", "--json", "--no-plugins"))
    states = {row["state"] for row in rows.values() if row["distribution"] != PROJECT}
    assert states == {"off"}
    assert beside("doctor", "--no-plugins").returncode == 0
    done = beside("--no-plugins", "train", "v13", "--dry-run", "--set", "losses.fape2.weight=1")
    assert done.returncode == 2
    off = done.stderr.partition("; switched off: ")[2]
    assert "good" in off
    assert off.endswith(" (by --no-plugins or MINIFOLD_PLUGINS)\n")


def test_the_variable_names_the_plugins_that_are_used(beside: Minifold) -> None:
    rows = plugins(beside("plugins", "list", "--json", MINIFOLD_PLUGINS="good, bad-lacks"))
    states = {row["name"]: row["state"] for row in rows.values()}
    assert (states["good"], states["lacks"], states["raises"]) == ("ok", "broken", "off")
    assert states["ipa"] == "ok"
    done = beside("plugins", "list", "--json", MINIFOLD_PLUGINS="goood")
    (problem,) = plugins(done)["MINIFOLD_PLUGINS"]["problems"]
    assert problem["cause"] == "it names 'goood', which is not installed"
    assert "'good'" in problem["mend"]
    done = beside("train", "v13", "--size", "nano", "--dry-run", MINIFOLD_PLUGINS="goood")
    assert done.returncode == 0
    told = "MINIFOLD_PLUGINS: it names 'goood', which is not installed; did you mean 'good'?"
    assert done.stderr.count(told) == 1
