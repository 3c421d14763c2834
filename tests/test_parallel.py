"""Two processes under torchrun train as one does with all the proteins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SETTINGS = [
    *("--size", "nano", "--max-steps", "4"),
    *("--set", "denoiser.layers=1", "--set", "training.noise_copies=2"),
    *("--set", "training.batch_size=5"),
]


def torchrun(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", "--no-python"),
            *(sys.executable, "-c", "from minifold_core.cli.main import main; main()"),
            *arguments,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def losses(run: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    return [[v for k, v in line.items() if k.startswith("train/")] for line in lines]


def test_two_processes_equal_one_and_a_lost_one_ends_the_run_resumably(tmp_path: Path) -> None:
    alone, together = tmp_path / "alone", tmp_path / "together"
    code = "from minifold_core.cli.main import main; main()"
    one = [sys.executable, "-c", code, "train", "v12b", *SETTINGS, "--run-dir", str(alone)]
    subprocess.run(one, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    process = torchrun("train", "v12b", *SETTINGS, "--run-dir", str(together))
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert "2 processes" in said
    for a, b in zip(losses(alone), losses(together), strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-6)
    rows = [(run / "metrics.csv").read_text().splitlines() for run in (alone, together)]
    names = rows[0][0].split(",")
    assert rows[1][0].split(",") == names
    for name, a, b in zip(names, rows[0][1].split(","), rows[1][1].split(","), strict=True):
        if name.startswith(("train/", "val/")):
            assert float(b) == pytest.approx(float(a), rel=1e-4), name

    lost = tmp_path / "lost"
    long = ["9" if word == "4" else word for word in SETTINGS]
    process = torchrun("train", "v12b", *long, "--run-dir", str(lost))
    while not (lost / "steps.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.1)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    os.kill(int(children[-1]), signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode != 0
    process = torchrun("resume", str(lost))
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert len(losses(lost)) == 9
