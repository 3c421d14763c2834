"""``train --profile``, ``--tensorboard`` and ``--compile``: they watch, never change."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.autograd import DeviceType

from minifold_core.cli.main import run
from minifold_core.cli.profiling import on_cpu, time_table
from minifold_core.training.board import Board
from training_helpers import batch_of, trainer

TRAIN = ("train", "v8", "--size", "nano", "--seed", "3")


def weights(directory: Path) -> dict[str, torch.Tensor]:
    return load_file(directory / "last.safetensors")


@pytest.mark.slow
def test_profile_accounts_for_the_whole_step_and_changes_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, watched = tmp_path / "plain", tmp_path / "watched"
    assert run([*TRAIN, "--max-steps", "9", "--run-dir", str(plain)]) == 0
    capsys.readouterr()
    assert run([*TRAIN, "--max-steps", "9", "--run-dir", str(watched), "--profile"]) == 0
    told = capsys.readouterr().err
    rows = {
        " ".join(words[:-2]): (float(words[-2]), int(words[-1].rstrip("%")))
        for line in told.splitlines()
        if (words := line.split()) and words[-1].endswith("%")
    }
    phases = list(rows)[: next(i for i, name in enumerate(rows) if name.startswith("aten::"))]
    for name in ("forward: denoiser", "backward: trunk", "losses", "wait for data"):
        assert name in phases
    assert sum(rows[name][0] for name in phases) == pytest.approx(rows["step"][0], rel=0.02)
    events = json.loads((watched / "trace.json").read_text())["traceEvents"]
    assert sum(event.get("name") == "minifold/losses" for event in events) >= 5
    one, other = weights(plain), weights(watched)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_profile_says_when_a_training_is_too_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRAIN, "--max-steps", "2", "--run-dir", str(tmp_path / "r"), "--profile"]) == 0
    assert "no profile: it begins after 3 steps" in capsys.readouterr().err
    assert not (tmp_path / "r" / "trace.json").exists()


def test_phases_that_a_gpu_reports_again_are_counted_once() -> None:
    def event(key: str, device: DeviceType, cpu: float, gpu: float) -> SimpleNamespace:
        return SimpleNamespace(
            key=key,
            device_type=device,
            count=2,
            is_user_annotation=not key.startswith("aten"),
            cpu_time_total=cpu,
            self_cpu_time_total=cpu,
            self_device_time_total=gpu,
        )

    named = ("ProfilerStep*", "minifold/losses")
    events = [event(key, DeviceType.CPU, 8000.0, 0.0) for key in named]
    events += [event("aten::mm", DeviceType.CPU, 100.0, 4000.0)]
    events += [event(key, DeviceType.CUDA, 0.0, 4000.0) for key in (*named, "gemm")]
    made = time_table(on_cpu(events), 2, gpu=True)
    rows = list(zip(*(column.cells for column in made.columns), strict=True))
    assert ("  losses", "4.0", "100%") in rows
    assert ("  aten::mm × 1", "2.0", "50%") in rows
    assert rows[-1] == ("step", "4.0", "100%")
    assert not any("gemm" in str(row[0]) for row in rows)


def test_tensorboard_holds_what_the_step_log_holds_after_resuming_too(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    begin = [*TRAIN, "--run-dir", str(directory), "--tensorboard", "--max-steps"]
    assert run([*begin, "3"]) == 0
    assert run(["resume", str(directory), "--max-steps", "6"]) == 0
    board = EventAccumulator(str(directory / "tensorboard"))
    board.Reload()
    logged = [json.loads(line) for line in (directory / "steps.jsonl").read_text().splitlines()]
    for name in ("train/total", "lr/denoiser", "grad_norm/denoiser"):
        seen = {event.step: event.value for event in board.Scalars(name)}
        assert seen == pytest.approx({record["step"]: record[name] for record in logged})
    assert "epoch/val/total_fixed" in board.Tags()["scalars"]


def test_a_full_disk_ends_the_board_and_not_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Board(tmp_path) as board:
        board.writer.add_scalar = full
        board.add(1, {"train/total": 1.0})
        board.add(2, {"train/total": 1.0})
    assert capsys.readouterr().err.count("nothing more is logged for TensorBoard") == 1


@pytest.mark.slow
def test_compiled_parts_train_alike_at_every_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The eager backend traces and differentiates like inductor, without minutes of C++."""
    small = {"pair_stack__blocks": 1, "denoiser__layers": 1}
    eager, compiled = trainer("v8", **small), trainer("v8", **small)
    compiled.model.compile_parts(backend="aot_eager")
    for chains in ([0, 1], [2, 3, 4]):
        reports = [
            made.stepper.take([batch_of(made, chains)], len(chains), 1, 1e-3).losses.means()
            for made in (eager, compiled)
        ]
        assert reports[0] == pytest.approx(reports[1], rel=1e-5)
    assert eager.model.state_dict().keys() == compiled.model.state_dict().keys()
    *_, last = compiled.model.part("denoiser").parameters()
    last.data.fill_(torch.inf)
    warnings: list[str] = []
    monkeypatch.setattr("minifold_core.training.stepper.note", warnings.append)
    compiled.stepper.take([batch_of(compiled, [0])], 1, 1, 1e-3)
    assert "first in module 'denoiser" in warnings[0]
