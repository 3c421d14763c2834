"""Two processes under torchrun train as one does with all the proteins, and go on as one does."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fault_helpers import assert_same_run, logged_steps, pack_short_chains

pytestmark = pytest.mark.slow

CODE = "from minifold_core.cli.main import main; main()"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
EPOCH = 8
"""Optimizer steps of five of forty chains each."""


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The words of a training of two epochs, but for its directory."""
    data = pack_short_chains(tmp_path_factory.mktemp("data") / "chains.safetensors", copies=10)
    return [
        *("train", "v12b", "--size", "nano", "--data", str(data), "--max-steps", str(2 * EPOCH)),
        *("--set", "denoiser.layers=1", "--set", "training.noise_copies=2"),
        *("--set", "training.batch_size=5", "--run-dir"),
    ]


@pytest.fixture(scope="module")
def together(training: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing disturbed."""
    run = tmp_path_factory.mktemp("together") / "run"
    assert "2 processes" in finish(torchrun(*training, str(run)))
    return run


def torchrun(*arguments: str, code: str = CODE) -> subprocess.Popen[str]:
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return subprocess.Popen(
        [sys.executable, *launcher, "--no-python", sys.executable, "-c", code, *arguments],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def test_what_one_process_has_to_say_all_learn() -> None:
    code = (
        "import torch; from minifold_core.training.parallel import process_group\n"
        "with process_group(torch.device('cpu')) as group:\n"
        "    assert group.first_word('late' if group.rank else '') == 'late'\n"
        "    assert group.first_word('') == ''"
    )
    finish(torchrun(code=code))


def test_gradients_are_summed_and_weights_that_no_loss_reaches_have_none() -> None:
    """An optimizer moves what has a gradient of zero, by its decay."""
    code = (
        "import torch; from minifold_core.training.parallel import process_group\n"
        "with process_group(torch.device('cpu')) as group:\n"
        "    both, late, never = (torch.nn.Parameter(torch.ones(n)) for n in (2, 3, 4))\n"
        "    both.grad = torch.full((2,), 1.0 + group.rank)\n"
        "    late.grad = torch.full((3,), 5.0) if group.rank else None\n"
        "    group.add_gradients([both, late, never])\n"
        "    assert both.grad.tolist() == [3.0] * 2\n"
        "    assert late.grad.tolist() == [5.0] * 3\n"
        "    assert never.grad is None"
    )
    finish(torchrun(code=code))


def losses(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k.startswith("train/")} for line in lines]


def alone(training: list[str], run: Path) -> Path:
    """The run of one process with all the proteins."""
    one = [sys.executable, "-c", CODE, *training, str(run)]
    subprocess.run(one, check=True, env=ENVIRONMENT)
    return run


def test_two_processes_equal_one(training: list[str], together: Path, tmp_path: Path) -> None:
    """Sums in another order: totals differ by less than 1e-6 of themselves, in every step.

    So does every term, but for squares of nearly nothing, such as the Rg head's when it is right.
    """
    single = alone(training, tmp_path / "alone")
    for a, b in zip(losses(single), losses(together), strict=True):
        assert b == pytest.approx(a, rel=1e-6, abs=1e-6)
        assert b["train/total"] == pytest.approx(a["train/total"], rel=1e-6)
    rows = [list(csv.DictReader((run / "metrics.csv").open())) for run in (single, together)]
    for a, b in zip(*rows, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            if name.startswith(("train/", "val/")):  # written with six digits
                assert float(b[name]) == pytest.approx(float(a[name]), rel=1e-5, abs=1e-7), name


@pytest.mark.parametrize("killed", [False, True], ids=["torchrun told to stop", "a process killed"])
def test_two_processes_go_on_to_the_same_bits(
    killed: bool, training: list[str], together: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = torchrun(*training, str(run))
    while not (run / "steps.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.02)
    if killed:
        listed = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
        children = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
        os.kill(int(children[-1]), signal.SIGKILL)
    else:
        process.terminate()
    _, said = process.communicate(timeout=120)
    assert process.returncode != 0
    assert ("another process of this training is lost" if killed else f"resume {run}") in said
    assert 0 < len(logged_steps(run)) < EPOCH
    finish(torchrun("resume", str(run)))
    assert_same_run(together, run)
    assert logged_steps(run) == list(range(1, 2 * EPOCH + 1))
