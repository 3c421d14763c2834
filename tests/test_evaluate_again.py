"""``minifold evaluate`` stopped, and called again."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fault_helpers import pack_short_chains
from minifold_core import folding
from minifold_core.cli import evaluation_run
from minifold_core.cli.main import run as run_cli
from minifold_core.data.dataset import DEMO_PATH, open_dataset
from minifold_core.errors import MinifoldError
from weights_files import sha256

Minifold = Callable[..., subprocess.CompletedProcess[str]]
CHAINS = len(open_dataset().subset("validation"))


def told(out: Path) -> dict[str, Any]:
    """What an evaluation found, without the time that it took."""
    found = json.loads((out / "evaluation.json").read_text())
    found.pop("seconds_per_sample", None)
    for row in found.get("sweep", ()):
        del row["seconds_per_sample"]
    return found


def rows(out: Path) -> list[list[str]]:
    """``samples.csv`` without its last column, the seconds."""
    with (out / "samples.csv").open(newline="") as file:
        return [row[:-1] for row in csv.reader(file)]


def close(value: Any) -> Any:
    """The same to the last digits: a batch that is cut differently adds up differently."""
    if isinstance(value, dict):
        return {name: close(each) for name, each in value.items()}
    if isinstance(value, list):
        return [close(each) for each in value]
    return pytest.approx(value, abs=1e-3) if isinstance(value, float) else value


def stop_at(number: int, patch: pytest.MonkeyPatch) -> None:
    """Let Ctrl-C come when the structure of that number, from 1, is about to be written."""
    written: list[Path] = []
    real = evaluation_run.save_fold

    def save(done: Any, path: Path, *remarks: str) -> None:
        written.append(path)
        if len(written) == number:
            raise KeyboardInterrupt
        real(done, path, *remarks)

    patch.setattr(evaluation_run, "save_fold", save)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two samples a chain of a version with backbones and confidence, one chain in a batch."""
    out = tmp_path_factory.mktemp("evaluation") / "whole"
    assert run_cli(asked(out)) == 0
    assert not (out / "unfinished").exists()
    return out


def asked(out: Path, *more: str) -> list[str]:
    given = ["evaluate", "v15", "--steps", "3", "--count", "2", "--at-once", "2"]
    return [*given, *more, "--out", str(out)]


@pytest.mark.parametrize("stop", [4, 2 * CHAINS + 1])
def test_a_stopped_evaluation_goes_on_to_the_same_result(
    whole: Path,
    stop: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_at(stop, patch)
        assert run_cli(asked(out)) == 130
    assert "the evaluation goes on with: minifold" in capsys.readouterr().err
    assert not (out / "evaluation.json").exists()
    assert run_cli(asked(out)) == 0
    said = capsys.readouterr().err
    for what, there in (("sampling", stop), ("sampling, shuffled sequence", stop - 2 * CHAINS)):
        words = f"{what}: going on, {min(there, 2 * CHAINS)} of {2 * CHAINS} samples"
        assert (words in said) == (there > 0)
    cut = stop % 2  # in the middle of a batch of two
    assert told(out) == (close(told(whole)) if cut else told(whole))
    for folder in (".", "shuffled"):
        assert rows(out / folder) == rows(whole / folder)
    names = {path.relative_to(whole) for path in whole.rglob("*")}
    assert {path.relative_to(out) for path in out.rglob("*")} == names


def test_a_killed_evaluation_goes_on(minifold: Minifold, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "minifold_core.cli.main", *asked(out)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        while not (out / "shuffled" / "samples.csv").exists():
            assert running.poll() is None
            time.sleep(0.01)
        running.kill()
    done = minifold(*asked(out))
    assert done.returncode == 0, done.stderr
    assert f"sampling: going on, {2 * CHAINS} of {2 * CHAINS} samples" in done.stderr
    assert told(out) == close(told(whole))


def test_a_sweep_goes_on_in_the_setting_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "v15", "--sweep", "steps=1,2", "--sweep", "eta=0,1", "--at-once", "1"]
    parts, all_at_once = tmp_path / "parts", tmp_path / "whole"
    with monkeypatch.context() as patch:
        stop_at(2 * CHAINS + 2, patch)
        assert run_cli([*command, "--out", str(parts)]) == 130
    capsys.readouterr()
    for out in (parts, all_at_once):
        assert run_cli([*command, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    for number, setting in enumerate(("steps 1, eta 0", "steps 1, eta 1", "steps 2, eta 0"), 1):
        there = 2 if number == 3 else CHAINS
        assert f"{setting} ({number}/4): going on, {there} of {CHAINS} samples" in said
    assert said.count("going on") == 3
    assert told(parts) == told(all_at_once)
    assert (parts / "scores.csv").read_text() == (all_at_once / "scores.csv").read_text()


def test_what_was_sampled_before_scoring_failed_is_not_sampled_again(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def fail(*arguments: object) -> None:
        raise MinifoldError("scoring failed")

    with monkeypatch.context() as patch:
        patch.setattr(evaluation_run, "judge_confidence", fail)
        assert run_cli(asked(out)) == 1
    monkeypatch.setattr(folding, "sample", fail)
    assert run_cli(asked(out)) == 0
    assert told(out) == told(whole)


def test_nothing_else_goes_on_there(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stop_at(1, patch)
        assert run_cli(asked(out)) == 130
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    data = pack_short_chains(tmp_path / "other.safetensors")
    plain = asked(out)
    for command, says in (
        (asked(out, "--eta", "0.5"), "eta was 0.0, is 0.5"),
        (asked(out, "--seed", "1"), "seed was 0, is 1"),
        ([*plain, "--count", "3"], "count was 2, is 3"),
        (asked(out, "--split", "train"), "split was validation, is train"),
        (asked(out, "--data", str(data)), f"data was {sha256(DEMO_PATH)[:12]}, is"),
        (
            asked(out, "--no-shuffled", "--noise-levels"),
            "True, is False; noise_levels was False",
        ),
        (asked(out, "--sweep", "eta=0,1"), "sweep was none, is eta=0,1"),
        ([each.replace("v15", "v13") for each in plain], "weights was "),
        (["evaluate", "contact", "--out", str(out)], "exists and is not empty"),
        (asked(whole), f"{whole} holds a finished evaluation"),
    ):
        assert run_cli(command) == 3, command
        assert says in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
