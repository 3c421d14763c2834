"""A training that is stopped, or killed, at any moment goes on to the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from zlib import crc32

import pytest
import torch
from safetensors.torch import load_file

from fault_helpers import assert_same_run
from minifold_core.cli.main import run as command
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.runs import read_run
from minifold_core.training import trainer as trainer_module
from minifold_core.training.options import Options
from minifold_core.training.run import Run
from minifold_core.training.state import load_state
from minifold_core.weights.header import read_header
from training_helpers import CPU, fit, trainer

TRAIN = ["train", "v13", "--size", "nano", "--max-steps", "7", "--with", "pair_stack=axial"]
SMALL = ["--set", "training.batch_size=2", "--set", "denoiser.layers=1"]

OVERSHOOTING = [
    *("train", "v8", "--size", "nano", "--set", "training.learning_rate=0.02"),
    *("--set", "training.ema_decay=0", "--set", "training.schedule.warmup_epochs=0", "--seed", "2"),
]


def call(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    code = "import sys; from minifold_core.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(*arguments: str, **environment: str) -> str:
    process = call(*arguments, **environment)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return said


def same_weights(one: Path, other: Path) -> bool:
    """Weights, average and optimizer, bit for bit."""
    a, b = load_file(one / "state.safetensors"), load_file(other / "state.safetensors")
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    finish(*TRAIN, *SMALL, "--run-dir", str(run))
    return run


@pytest.mark.slow
def test_killing_at_random_moments_changes_nothing(unbroken: Path, tmp_path: Path) -> None:
    """scripts/kill_harness.py does this a hundred times; here are a few."""
    chance = random.Random(7)
    run = tmp_path / "run"
    process = call(*TRAIN, *SMALL, "--run-dir", str(run))
    kills = 0
    while kills < 4:
        try:
            process.wait(timeout=chance.uniform(2, 9))
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1
        if (run / "state.safetensors").exists():
            process = call("resume", str(run))
        else:
            subprocess.run(["rm", "-rf", str(run)], check=True)
            process = call(*TRAIN, *SMALL, "--run-dir", str(run))
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert same_weights(unbroken, run)
    steps = [json.loads(line)["step"] for line in (run / "steps.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 143)]
)
def test_a_signal_saves_the_step_in_hand_and_the_rest_follows(
    unbroken: Path, tmp_path: Path, number: int, code: int
) -> None:
    run = tmp_path / "run"
    process = call(*TRAIN, *SMALL, "--run-dir", str(run))
    while not (run / "steps.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert f"go on with: minifold resume {run}" in said
    done = [json.loads(line)["step"] for line in (run / "steps.jsonl").read_text().splitlines()]
    assert 1 <= len(done) < 7
    assert (run / "last.safetensors").exists()
    assert (run / "metrics.csv").exists()
    finish("resume", str(run))
    assert same_weights(unbroken, run)
    assert [row["epoch"] for row in Run(run).epochs()] == ["1"]


def test_a_recipe_that_has_ended_tells_how_to_go_further(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin = ["train", "v13", "--size", "nano", "--with", "pair_stack=axial", *SMALL]
    run = tmp_path / "run"
    assert command([*begin, "--set", "training.epochs=1", "--run-dir", str(run)]) == 0
    capsys.readouterr()
    assert command(["resume", str(run), "--max-epochs", "2"]) == 0
    (said,) = (
        line for line in capsys.readouterr().err.splitlines() if "--max" in line or "ends" in line
    )
    assert said.startswith("warning: the recipe ends after 1 epochs; A new training can begin")
    assert said.endswith(f"--init-from {run / 'last.safetensors'} --set training.epochs=N")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v12b", "v15"])
def test_resuming_holds_with_accumulation_workers_and_every_kind_of_chance(
    version: str, tmp_path: Path
) -> None:
    values = {
        "training__accumulate": 3,
        "training__batch_size": 2,
        "training__unconditional": 0.5,
        "training__self_conditioning": 0.5,
        "training__noise_copies": 2,
    }
    options = Options(CPU, max_steps=5, data="demo")
    whole = fit(trainer(version, options, **values), tmp_path / "whole")
    first = fit(trainer(version, replace(options, max_steps=2), **values), tmp_path / "parts")
    random.seed(99)
    torch.manual_seed(99)  # what happens between must not matter
    second = trainer(version, replace(options, workers=2), **values)
    second.resume(first)
    assert (second.progress.step, second.progress.epoch) == (2, 1)
    second.fit(first)
    assert same_weights(whole.directory, first.directory)


def test_a_damaged_or_foreign_state_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    run = fit(trainer(), tmp_path)
    content = bytearray(run.state.read_bytes())
    for place in (3, 200, len(content) // 2, len(content) - 1):
        bad = bytearray(content)
        bad[place] ^= 255
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(RequestError):
            load_state(tmp_path / "bad", trainer().stepper)
    (tmp_path / "cut").write_bytes(content[: len(content) // 2])
    with pytest.raises(RequestError):
        load_state(tmp_path / "cut", trainer().stepper)
    other = trainer("v12").stepper
    before = {name: p.clone() for name, p in other.model.named_parameters()}
    with pytest.raises(MinifoldError, match="is not of this model"):
        load_state(run.state, other)
    assert all(torch.equal(p, before[name]) for name, p in other.model.named_parameters())
    with pytest.raises(RequestError, match="cannot be read"):
        load_state(tmp_path / "none", other)


def test_a_full_disk_loses_no_earlier_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trainer(options=Options(CPU, max_steps=8, data="demo"))
    run = Run.create(tmp_path / "run", made.model.recipe, {})
    made.start(run)
    kept = crc32(run.state.read_bytes())
    from minifold_core.training import state as state_module

    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module, "save_file", full)
    with pytest.raises(MinifoldError, match=r"state\.safetensors cannot be written: No space left"):
        made.fit(run)
    assert crc32(run.state.read_bytes()) == kept
    assert not list(run.directory.glob(".*.tmp"))


def test_states_are_saved_within_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []
    real = trainer_module.save_state
    monkeypatch.setattr(
        trainer_module,
        "save_state",
        lambda path, stepper, progress, about: (
            saved.append(progress.step),
            real(path, stepper, progress, about),
        ),
    )
    options = Options(CPU, max_steps=3, save_every=0.0, data="demo")
    fit(trainer(options=options), tmp_path)
    assert saved == [0, 1, 2, 3, 3]


def test_resume_wants_the_same_data_and_says_when_nothing_is_left(
    unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"not the same")
    assert command(["resume", str(tmp_path)]) == 2
    assert "holds no state.safetensors" in capsys.readouterr().err
    assert command(["resume", str(unbroken), "--data", str(other)]) in (2, 3)
    capsys.readouterr()
    before = crc32((unbroken / "last.safetensors").read_bytes())
    assert command(["resume", str(unbroken)]) == 0
    assert "nothing is left to do" in capsys.readouterr().err
    assert crc32((unbroken / "last.safetensors").read_bytes()) == before


@pytest.fixture(scope="module")
def overshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs of four steps; the second epoch is worse than the first."""
    run = tmp_path_factory.mktemp("overshot") / "run"
    assert command([*OVERSHOOTING, "--max-steps", "8", "--run-dir", str(run)]) == 0
    return run


def test_an_epoch_that_was_left_has_the_best_weights_until_it_goes_on(
    overshot: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    def best(*arguments: str) -> tuple[int, int]:
        """Epoch and step of the best weights, which are those of the best row."""
        assert command([*arguments]) == 0
        record, header = read_run(run), read_header(run / "best.safetensors")
        (row,) = (row for row in record.rows if row["epoch"] == header.epoch)
        assert (header.epoch, header.metrics["val/total_fixed"]) == pytest.approx(
            record.best, rel=1e-5
        )
        assert row["step"] == header.step
        return header.epoch, header.step

    assert best(*OVERSHOOTING, "--max-steps", "2", "--run-dir", str(run)) == (1, 2)
    assert best("resume", str(run), "--max-steps", "5") == (2, 5)
    assert best("resume", str(run)) == (2, 5)  # nothing is left to do, nothing changes
    assert read_header(run / "best-before.safetensors").step == 4
    assert best("resume", str(run), "--max-steps", "8") == (1, 4)
    assert_same_run(overshot, run)
    assert not (run / "best-before.safetensors").exists()


def test_moments_come_from_the_run_of_the_weights_alone_and_their_step_is_told(
    overshot: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    begin = ["train", "v8", "--size", "nano", "--max-steps", "1", "--carry-optimizer"]
    assert command([*begin, "--init-from", str(overshot), "--run-dir", str(tmp_path / "on")]) == 0
    assert "carried over, of step 8; best.safetensors is of step 4\n" in capsys.readouterr().err
    own = ["--init-from", str(overshot / "last.safetensors"), "--run-dir", str(tmp_path / "last")]
    assert command([*begin, *own]) == 0
    assert "tensors carried over\n" in capsys.readouterr().err

    (other := tmp_path / "other").mkdir()
    copyfile(overshot / "state.safetensors", other / "state.safetensors")
    copyfile(tmp_path / "on" / "best.safetensors", other / "best.safetensors")
    assert command([*begin, "--init-from", str(other), "--dry-run"]) == 3
    assert "is not the state of the run that wrote" in capsys.readouterr().err
    monkeypatch.chdir(overshot)  # whose state says nothing of weights that have a name
    named = ["train", "v13", "--size", "nano", "--init-from", "v13:nano", "--carry-optimizer"]
    assert command([*named, "--dry-run"]) == 2
    assert "nano.safetensors has no state.safetensors beside it" in capsys.readouterr().err


@pytest.mark.slow
def test_moments_of_what_carries_over_come_along(tmp_path: Path) -> None:
    """v12b's moments in v13: of every trained tensor but the new pair stack's."""
    source, target = tmp_path / "v12b", tmp_path / "v13"
    finish("train", "v12b", "--size", "nano", "--max-steps", "2", "--run-dir", str(source))
    said = finish(
        "train", "v13", "--size", "nano", "--max-steps", "1", "--run-dir", str(target),
        "--init-from", str(source), "--carry-optimizer", "--set", "training.learning_rate=1e-30",
    )  # fmt: skip
    before, after = load_file(source / "state.safetensors"), load_file(target / "state.safetensors")
    kept = [n for n in after if n.startswith("optimizer.step.") and float(after[n]) == 3]
    fresh = [n for n in after if n.startswith("optimizer.step.") and float(after[n]) == 1]
    assert f"moments of {len(kept)} tensors carried over" in said
    assert {name.split(".")[2] for name in fresh} == {"pair_stack"}
    assert {name.split(".")[2] for name in kept} == {"aux_pair_stack", "denoiser", "heads"}
    squares = [n.replace(".step.", ".exp_avg_sq.") for n in kept]
    assert all((after[n] >= 0.999 * before[n]).all() for n in squares)  # beta_2 = 0.999
    for alone in ("--carry-optimizer", "--allow-mismatch"):
        assert command(["train", "v13", alone, "--run-dir", str(tmp_path / "x")]) == 2
