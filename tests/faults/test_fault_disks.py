"""Disks and directories that fail on purpose: what is lost, what is said, how training goes on."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fault_helpers import (
    assert_same_run,
    assert_same_tensors,
    at_step,
    begin,
    epochs,
    fill_disk,
    go_on,
    halfway,
    logged_steps,
    tiny,
)
from minifold_core.cli.main import run as command
from minifold_core.errors import MinifoldError
from minifold_core.plots.curves import save_curves
from minifold_core.training import trainer as trainer_module
from minifold_core.training.run import Run


@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for good"])
def test_whichever_file_finds_the_disk_full_the_resumed_run_lacks_nothing(
    for_good: bool, data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, run = tiny(data), tmp_path / "undisturbed"
    with pytest.MonkeyPatch.context() as patch:
        begin(made, run)
        files = fill_disk(patch, lambda number, name: False)
        made.fit(Run(run))
    weights = ["last.safetensors", "best.safetensors"]
    assert files == ["metrics.csv", *weights, "state.safetensors"] * 2
    for place, name in enumerate(files):
        made = tiny(data)
        run = begin(made, tmp_path / f"run{place}")
        with pytest.MonkeyPatch.context() as patch:
            fill_disk(patch, lambda n, name, p=place: n == p or (for_good and n > p))
            with pytest.raises(MinifoldError, match=rf"{name} cannot be written: No space left on"):
                made.fit(run)
        said = capsys.readouterr().err
        assert ("which cannot be saved" if for_good else "state saved in") in said
        assert not list(run.directory.glob(".*"))
        go_on(run, data)
        assert_same_run(whole, run.directory)
        assert logged_steps(run.directory) == [1, 2, 3, 4]


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to let any file of this process grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_system_refuses_ends_in_two_lines_and_can_be_made_good(
    data: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = halfway(data, tmp_path / "run")
    before = run.state.read_bytes()
    with no_file_above(2_000_000):  # the weights are smaller, the state is not
        assert command(["resume", str(run.directory), "--max-steps", "4"]) == 1
    *_, stopped, error = capsys.readouterr().err.splitlines()
    why = f"{run.state} cannot be written: File too large"
    assert stopped.startswith(f"stopped at step 4, which cannot be saved ({why}")
    assert stopped.endswith(f"go on from the state before: minifold resume {run.directory}")
    assert error.startswith(f"minifold: error: {why}")
    assert run.state.read_bytes() == before
    assert command(["resume", str(run.directory), "--max-steps", "4"]) == 0
    assert_same_run(whole, run.directory)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_for_the_log_of_steps_ends_training_with_its_state_saved(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    made = tiny(data)
    run = begin(made, tmp_path / "run")
    log = run.directory / "steps.jsonl"
    log.symlink_to("/dev/full")
    with pytest.raises(MinifoldError, match=r"steps\.jsonl cannot be written: No space left on"):
        made.fit(run)
    log.unlink()
    go_on(run, data)
    assert_same_run(whole, run.directory)
    assert logged_steps(run.directory) == [2, 3, 4]


def test_a_picture_that_cannot_be_written_is_a_warning(
    data: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = halfway(data, tmp_path / "run")
    monkeypatch.setattr(trainer_module, "save_curves", save_curves)
    written = fill_disk(monkeypatch, lambda number, name: name == "curves.png")
    assert command(["resume", str(run.directory), "--max-steps", "4"]) == 0
    assert "curves.png" in written
    picture = run.directory / "curves.png"
    said = capsys.readouterr().err
    assert f"warning: no curves in {picture}: {picture} cannot be written: No space left" in said
    assert_same_run(whole, run.directory)


def test_a_directory_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Permissions do not stop root, but nobody can make a directory below a file."""
    (tmp_path / "file").write_text("")
    train = ["train", "v12b", "--size", "nano", "--max-steps", "1", "--run-dir"]
    for place, why in (("file/run", "Not a directory"), ("x" * 300, "File name too long")):
        assert command([*train, str(tmp_path / place)]) == 1
        error = capsys.readouterr().err.splitlines()[-1]
        assert f"run directory {tmp_path / place} cannot be used: {why}" in error


def test_a_directory_removed_in_mid_run_costs_its_records_alone(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    made = tiny(data)
    run = begin(made, tmp_path / "run")
    made.on_step = at_step(3, made, lambda: shutil.rmtree(run.directory))
    with pytest.raises(MinifoldError, match=r"steps\.jsonl cannot be written: No such file"):
        made.fit(run)
    go_on(run, data)
    assert_same_tensors(whole / "state.safetensors", run.state)
    assert epochs(run.directory) == epochs(whole)[1:]


def test_a_directory_that_can_no_longer_be_written_keeps_its_state(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    made = tiny(data)
    run, moved = begin(made, tmp_path / "run"), tmp_path / "moved"

    def take_away() -> None:
        run.directory.rename(moved)
        run.directory.write_text("")

    made.on_step = at_step(3, made, take_away)
    with pytest.raises(MinifoldError, match=r"steps\.jsonl cannot be written: Not a directory"):
        made.fit(run)
    go_on(Run(moved), data)
    assert_same_run(whole, moved)
