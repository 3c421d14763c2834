"""States, records and data that are damaged, moved or gone when training goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from fault_helpers import (
    assert_same_run,
    assert_same_tensors,
    at_step,
    begin,
    epochs,
    go_on,
    halfway,
    logged_steps,
    tiny,
)
from minifold_core.cli.main import run as command
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.packwriter import write_pack
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.training.state import load_state
from minifold_core.weights.header import read_header


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: content[:-100], "is cut short: 100 bytes of data are missing"),
        (lambda content: content[:1000], "it is cut short"),
        (lambda content: b"", "it is empty"),
        (lambda content: b"\0" * len(content), "is not a state file"),
        (lambda content: content[:-9] + b"x" + content[-8:], "does not match the hash it carries"),
    ],
    ids=["cut", "cut in the header", "empty", "zeros", "a byte"],
)
def test_a_damaged_state_is_named_with_what_can_still_be_done(
    damage: Callable[[bytes], bytes],
    said: str,
    whole: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = tmp_path / "a run"
    shutil.copytree(whole, run)
    state = run / "state.safetensors"
    state.write_bytes(damage(state.read_bytes()))
    assert command(["resume", str(run)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith(f"minifold: error: {state} is ")
    assert said in error
    words = shlex.split(error.partition("minifold train ")[2])
    assert words == [str(run / "recipe.toml"), "--init-from", str(run / "last.safetensors")]
    assert command(["train", *words, "--dry-run"]) == 0
    (run / "last.safetensors").unlink()
    assert command(["resume", str(run)]) == 2
    assert "--init-from" not in capsys.readouterr().err.splitlines()[-1]


def test_a_run_without_a_state_is_told_with_what_can_still_be_done(
    data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "a run"
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("state.safetensors"))
    (run / "environment.json").write_text(json.dumps({"data": str(data)}))
    assert command(["resume", str(run)]) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"{run} holds no state.safetensors. A new training can begin" in error
    words = shlex.split(error.partition("minifold train ")[2])
    weights = ["--init-from", str(run / "last.safetensors")]
    assert words == [str(run / "recipe.toml"), "--data", str(data), *weights]
    assert command(["train", *words, "--dry-run"]) == 0
    (run / "last.safetensors").unlink()
    assert command(["resume", str(run)]) == 2
    assert "finds the runs in DIR" in capsys.readouterr().err.splitlines()[-1]


def test_what_a_crash_leaves_in_the_records_does_not_hinder_resuming(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    run = halfway(data, tmp_path / "run")
    with (run.directory / "steps.jsonl").open("a") as log:
        log.write('\0\0\0\0\n[3]\n{"step": "x"}\n{"step": 3, "epo')
    halves = [run.directory / f".{run.state.name}.123.tmp", run.directory / ".tmpAbC123"]
    for half in halves:
        half.write_bytes(b"half")
    (run.directory / ".notes").write_text("the user's")
    go_on(run, data)
    assert_same_run(whole, run.directory)
    assert logged_steps(run.directory) == [1, 2, 3, 4]
    assert [path.name for path in run.directory.glob(".*")] == [".notes"]
    table = run.directory / "metrics.csv"
    table.write_text("epoch,step\nmany,2\n")
    with pytest.raises(RequestError, match=r"metrics\.csv is damaged .*move it away"):
        go_on(run, data)
    table.unlink()
    go_on(run, data)


def test_resuming_a_finished_run_keeps_the_row_of_its_unfinished_epoch(
    data: Path, tmp_path: Path
) -> None:
    made = tiny(data, steps=3)
    run = begin(made, tmp_path / "run")
    made.fit(run)
    before, best = epochs(run.directory), shutil.copy2(run.best, tmp_path / "best.safetensors")
    assert [row["step"] for row in before] == ["2", "3"]
    assert command(["resume", str(run.directory)]) == 0
    assert epochs(run.directory) == before
    assert_same_tensors(run.best, best)
    assert read_header(run.best) == read_header(best)


@pytest.mark.parametrize("workers", [0, 2])
def test_data_deleted_during_training_are_read_to_the_end(
    workers: int, data: Path, whole: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copy(data, tmp_path / "own.safetensors"))
    made = tiny(own, workers=workers)
    run = begin(made, tmp_path / "run")
    made.on_step = at_step(1, made, own.unlink)
    made.fit(run)
    assert_same_run(whole, run.directory)


def test_data_that_moved_are_asked_for_and_other_data_are_refused(
    data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path(shutil.copy(data, tmp_path / "own.safetensors"))
    run = halfway(own, tmp_path / "run").directory
    moved, other = own.rename(tmp_path / "moved.safetensors"), tmp_path / "other.safetensors"
    resume = ["resume", str(run), "--max-steps", "4"]
    capsys.readouterr()
    assert command(resume) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert f"{own}: no such file" in error
    assert "--data" in error
    write_pack(other, list(PackedDataset.open(moved))[1:], [], {})
    assert command([*resume, "--data", str(other)]) == 3
    assert f"{other} is not the data that {run} was trained on" in capsys.readouterr().err
    assert command([*resume, "--data", str(moved)]) == 0
    assert_same_run(whole, run)


def test_a_reader_of_data_that_is_killed_ends_training_resumably(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    made = tiny(data, workers=2)
    run = begin(made, tmp_path / "run")

    def kill() -> None:
        child = multiprocessing.active_children()[0].pid
        assert child
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # PyTorch must see how it ended

    made.on_step = at_step(3, made, kill)
    with pytest.raises(MinifoldError, match=r"process that reads the data was lost .*--workers 0"):
        made.fit(run)
    assert load_state(run.state, tiny(data).stepper).step == 2
    go_on(run, data)
    assert_same_run(whole, run.directory)
