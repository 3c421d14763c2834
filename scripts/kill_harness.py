"""Kill a training at random moments, resume it each time, and compare with one that was never.

    python scripts/kill_harness.py --kills 100 --seed 0

Weights, moving average and optimizer must be the same bit for bit, and no kill may leave a state
that cannot be read. The machine's load only decides where the kills fall.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

CODE = "from minifold_core.cli.main import main; main()"
TRAIN = ("train", "v13", "--size", "nano", "--with", "pair_stack=axial", "--keep", "every 2")


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", CODE, *arguments]
        return subprocess.Popen(command, stderr=out, stdout=out, env=environment)


def finish(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.wait():
        sys.exit(f"exit {process.returncode}:\n{log.read_text()[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--longest", type=float, default=12.0, help="seconds until a kill, at most")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        unbroken, killed, log = (Path(folder) / name for name in ("unbroken", "killed", "log"))
        train = (*TRAIN, "--max-steps", str(options.steps), "--run-dir")
        began = time.monotonic()
        finish(start(log, *train, str(unbroken)), log)
        print(f"unbroken: {options.steps} steps in {time.monotonic() - began:.0f} s", flush=True)
        kills = rounds = 0
        while kills < options.kills:
            rounds += 1
            shutil.rmtree(killed, ignore_errors=True)
            process = start(log, *train, str(killed))
            while True:
                try:
                    process.wait(timeout=chance.uniform(0.5, options.longest))
                    break
                except subprocess.TimeoutExpired:
                    if kills == options.kills:
                        continue
                    process.kill()
                    process.wait()
                    kills += 1
                if (killed / "state.safetensors").exists():
                    process = start(log, "resume", str(killed))
                else:
                    shutil.rmtree(killed, ignore_errors=True)
                    process = start(log, *train, str(killed))
            finish(process, log)
            for name in ("state.safetensors", "last.safetensors", "best.safetensors"):
                one, other = load_file(unbroken / name), load_file(killed / name)
                if not all(torch.equal(one[key], other[key]) for key in one):
                    sys.exit(f"round {rounds}, {kills} kills: {name} differs")
            print(f"round {rounds}: {kills} kills so far, the same to the bit", flush=True)


if __name__ == "__main__":
    main()
