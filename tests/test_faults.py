"""Faults from outside, put in on purpose: what is lost, what is said, and how training goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from fault_helpers import (
    assert_same_run,
    assert_same_tensors,
    begin,
    epochs,
    fill_disk,
    go_on,
    logged_steps,
    pack_short_chains,
    tiny,
)
from minifold_core.cli.main import run as command
from minifold_core.cli.platform import use_fast_float32
from minifold_core.data.dataset import PackedDataset
from minifold_core.data.packwriter import write_pack
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.plots.curves import save_curves
from minifold_core.recipe import load_recipe
from minifold_core.training import trainer as trainer_module
from minifold_core.training.averages import Averages
from minifold_core.training.parallel import Group
from minifold_core.training.run import Run
from minifold_core.training.state import load_state
from minifold_core.training.trainer import Trainer
from training_helpers import batch_of

T = TypeVar("T")


@pytest.fixture(scope="module", autouse=True)
def _as_commands_compute() -> Iterator[None]:
    """Commands choose the arithmetic of float32 products; here they share a process with tests."""
    before = torch.get_float32_matmul_precision()
    use_fast_float32()
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer_module, "save_curves", lambda *paths: None)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_short_chains(tmp_path_factory.mktemp("data") / "chains.safetensors")


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steps that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer_module, "save_curves", lambda *paths: None)
        made = tiny(data)
        run = begin(made, tmp_path_factory.mktemp("whole") / "run")
        made.fit(run)
    return run.directory


def halfway(data: Path, directory: Path) -> Run:
    """A run that was asked for two steps and has them: a whole epoch."""
    made = tiny(data, steps=2)
    run = begin(made, directory)
    made.fit(run)
    return run


# --- numbers ---


def test_coordinates_that_are_no_numbers_are_blamed_on_their_chain_alone(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny(data)
    batch = batch_of(made, [0, 1])
    batch.backbone[1, 3, 1] = torch.nan  # one Cα
    before = {name: p.clone() for name, p in made.model.named_parameters()}
    assert made.stepper.take([batch], 2, 1, 1e-3).health["skipped"] == 1
    said = capsys.readouterr().err
    good, bad = made.train_set.names[:2]
    assert f"loss is not finite for {bad} (" in said
    assert "the coordinates in the batch are not finite" in said
    assert good not in said
    assert "module" not in said
    assert all(torch.equal(p, before[name]) for name, p in made.model.named_parameters())


def test_an_infinite_activation_is_found_in_the_module_where_it_arose(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tiny(data)
    path = "pair_stack.blocks.1.transition"
    module = made.model.get_submodule(path)
    module.register_forward_hook(lambda module, given, output: output + torch.inf)
    assert made.stepper.take([batch_of(made, [0])], 1, 1, 1e-3).health["skipped"] == 1
    assert f"first in module '{path}'" in capsys.readouterr().err


def test_sixty_steps_without_gradients_stir_a_module_and_then_halt(
    data: Path, tmp_path: Path
) -> None:
    """As published the tripwire acts after 50 steps; it halts after 500, here after 60."""
    assert load_recipe("v12b").training.tripwire.steps == 50
    small = tiny(data, steps=80, training__tripwire__halt_steps=60)
    rows = np.tile(small.train_set.rows, 40)  # an epoch of 80 steps
    made = Trainer(small.model, PackedDataset(small.train_set.file, rows), None, small.options)
    starved = list(made.model.part("pair_stack").parameters())
    moments = []
    made.on_step = lambda steps, words="": moments.append(
        max(float(made.stepper.optimizer.state[p]["exp_avg"].abs().max()) for p in starved)
    )
    for parameter in starved:
        parameter.register_hook(torch.zeros_like)
    run = begin(made, tmp_path / "run")
    with pytest.raises(MinifoldError, match=r"pair_stack: gradient norm below 0\.001 in 60 steps"):
        made.fit(run)
    lines = [json.loads(line) for line in (run.directory / "steps.jsonl").open()]
    assert [line["tripwire/pair_stack"] for line in lines] == [0] * 49 + [1] * 10
    assert [moment > 0 for moment in moments] == [False] * 49 + [True] * 10
    assert load_state(run.state, tiny(data).stepper).step == 59


# --- disks ---


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


# --- directories ---


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


def at_step(number: int, made: Trainer, act: Callable[[], object]) -> Callable[..., None]:
    """Something to be done when a training has taken so many steps."""

    def on_step(steps: int, words: str = "") -> None:
        if made.progress.step == number:
            act()

    return on_step


# --- states and records ---


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
    before, best = epochs(run.directory), run.best.read_bytes()
    assert [row["step"] for row in before] == ["2", "3"]
    assert command(["resume", str(run.directory)]) == 0
    assert epochs(run.directory) == before
    assert run.best.read_bytes() == best


# --- data ---


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


# --- processes ---


def test_ctrl_c_amid_an_epoch_with_accumulation_and_readers_changes_nothing(tmp_path: Path) -> None:
    """A terminal sends it to all processes, those that read the data included."""
    data = pack_short_chains(tmp_path / "chains.safetensors", copies=10)
    words = ["train", "v12b", "--size", "nano", "--data", str(data), "--max-steps", "13"]
    words += ["--set", "denoiser.layers=1", "--set", "training.batch_size=1"]
    words += ["--set", "training.accumulate=4", "--workers", "2", "--run-dir"]
    unbroken, run = tmp_path / "unbroken", tmp_path / "run"
    assert command([*words, str(unbroken)]) == 0
    code = "from minifold_core.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, str(run)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (run / "steps.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].endswith(f"go on with: minifold resume {run}")
    assert 0 < len(logged_steps(run)) < 10  # steps of an epoch
    assert command(["resume", str(run)]) == 0
    assert_same_run(unbroken, run)


class Failing(Group):
    """A process alone whose n-th exchange with the others fails."""

    def __init__(self, at: int) -> None:
        super().__init__()
        object.__setattr__(self, "left", [at])

    def _exchange(self, value: T) -> T:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise MinifoldError("another process of this training is lost")
        return value

    def add_gradients(self, parameters: object) -> None:
        self._exchange(parameters)

    def merge(self, averages: Averages) -> Averages:
        return self._exchange(averages)

    def highest(self, value: int) -> int:
        return self._exchange(value)


def test_whichever_exchange_fails_the_saved_state_is_that_of_its_step(
    data: Path, whole: Path, tmp_path: Path
) -> None:
    """Weights that are a step ahead of their count would take that step twice."""
    an_epoch = 2 * 4 + 1  # four in a step, one in its validation
    for place in range(an_epoch, 2 * an_epoch):
        made = tiny(data, group=Failing(place))
        run = begin(made, tmp_path / f"run{place}")
        with pytest.raises(MinifoldError, match="is lost"):
            made.fit(run)
        go_on(run, data)
        assert_same_run(whole, run.directory)
    made = tiny(data, group=Failing(2 * an_epoch))
    made.fit(begin(made, tmp_path / "run"))
