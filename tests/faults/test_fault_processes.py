"""Processes that are stopped or lost: what is saved is the state of a whole step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

import pytest

from fault_helpers import assert_same_run, begin, go_on, logged_steps, pack_short_chains, tiny
from minifold_core.cli.main import run as command
from minifold_core.errors import MinifoldError
from minifold_core.training.averages import Averages
from minifold_core.training.parallel import Group

T = TypeVar("T")


@pytest.mark.slow
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
