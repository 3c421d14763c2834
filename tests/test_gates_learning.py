"""The gates that train: their plans, their runs, what is kept of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from minifold_core.console import Advance
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.errors import ProtectedError
from minifold_core.evaluation.floors import coil, mirror_image
from minifold_core.gates import inputs, memory
from minifold_core.gates.chains import gate_chains
from minifold_core.gates.overfit import Overfit
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.weights.io import load_model

Command = Callable[..., subprocess.CompletedProcess[str]]
TINY = ("--set", "training.epochs=1", "--set", "sampling.steps=4", "--set", "denoiser.layers=1")


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return gate_chains(open_dataset())


def test_a_plan_changes_only_how_long_an_epoch_is(chains: list[Chain], tmp_path: Path) -> None:
    def load(changes: Mapping[str, Any]) -> Recipe:
        return load_recipe("v10", "nano", values=dict(changes))

    recipe = load({})
    sixteen = Overfit.plan(load, chains, 1500, tmp_path / "sixteen", 0)
    one = Overfit.plan(load, chains[:1], 2000, tmp_path / "one", 0)
    assert (sixteen.steps, one.steps) == (1440, 1980)
    for plan in (sixteen, one):
        then = plan.recipe.training
        assert then.epochs == recipe.training.epochs
        assert then.schedule == recipe.training.schedule
        assert then.learning_rate == recipe.training.learning_rate
        assert plan.recipe.losses == recipe.losses
    assert one.recipe.training.noise_copies == recipe.training.batch_size


def test_a_stopped_training_goes_on_to_the_same_weights(
    chains: list[Chain],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(changes: Mapping[str, Any]) -> Recipe:
        fixed = {"training.epochs": 2, "denoiser.layers": 1}
        return load_recipe("v12", "nano", values=fixed | dict(changes))

    @contextmanager
    def quiet(what: str, total: int, done: int) -> Iterator[Advance]:
        yield lambda steps, words="": None

    @contextmanager
    def stops_at_three(what: str, total: int, done: int) -> Iterator[Advance]:
        steps = iter(range(1, total + 1))

        def advance(done: int, words: str = "") -> None:
            if next(steps) == 3:
                os.kill(os.getpid(), signal.SIGTERM)

        yield advance

    cpu = torch.device("cpu")
    whole = Overfit.plan(load, chains[:1], 8, tmp_path / "whole", 0).train(cpu, quiet)
    broken = Overfit.plan(load, chains[:1], 8, tmp_path / "broken", 0, "minifold gates v12")
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        broken.train(cpu, stops_at_three)
    assert stopped.value.code == 143
    assert capsys.readouterr().err == "stopped at step 3; go on with: minifold gates v12\n"
    assert load_model(tmp_path / "broken")[1].step == 3
    for done in (broken.train(cpu, quiet), broken.train(cpu, stops_at_three)):
        for name, tensor in whole.state_dict().items():
            assert torch.equal(done.state_dict()[name], tensor), name

    monkeypatch.setattr(inputs, "_code", lambda recipe: "mended since")
    with pytest.raises(ProtectedError, match="another training, with a different code; choose"):
        broken.train(cpu, quiet)


@pytest.mark.slow
def test_learning_gates_as_a_user_runs_them(minifold: Command, tmp_path: Path) -> None:
    asked = ("gates", "v12", "--gate", "g3", "--gate", "g4", "--out", tmp_path, *TINY)
    steps = ("--steps-one", 3, "--steps-sixteen", 4)
    first = minifold(*asked, *steps, "--json")
    assert first.returncode == 0, first.stderr
    assert "epoch 1 · step" not in first.stderr
    again = minifold(*asked, *steps, "--json")
    assert again.stdout == first.stdout
    assert "v12: g3, g4 as found before, nothing has changed" in again.stderr
    assert "sampling" not in again.stderr
    (tmp_path / "v12" / "gates.json").unlink()
    sampled = minifold(*asked, *steps, "--json")
    assert sampled.stdout == first.stdout
    assert "going on after step 4 of 4" in sampled.stderr
    (report,) = json.loads(first.stdout)["versions"]
    assert report["stops_at"] == "g3"
    one, sixteen = (finding["figures"] for finding in report["findings"])
    assert (one["steps"], sixteen["steps"]) == (3, 4)
    assert len(one["samples"]) == 8
    assert len(sixteen["chains"]) == 16
    assert all(row["own"] != row["shuffled"] for row in sixteen["chains"])
    assert 0.15 < sixteen["floors"]["another real chain"] < 0.25
    assert "v12/sixteen" in minifold("runs", "list", tmp_path).stdout

    before = (tmp_path / "v12" / "gates.json").read_bytes()
    other = minifold(*asked, "--gate", "g0", "--steps-one", 2, "--steps-sixteen", 4, "--seed", 1)
    assert other.returncode == 3
    assert "belongs to another training" in other.stderr
    assert (tmp_path / "v12" / "gates.json").read_bytes() == before


def test_a_gate_that_cannot_run_is_an_error_and_the_others_still_run(
    minifold: Command, tmp_path: Path
) -> None:
    broken = ("--set", "training.learning_rate=1e30", "--set", "training.max_skipped=1")
    steps = ("--steps-one", 8, "--gate", "g3", "--gate", "g0")
    done = minifold("gates", "v12", *broken, *TINY, *steps, "--out", tmp_path, "--json")
    assert done.returncode == 1
    (report,) = json.loads(done.stdout)["versions"]
    assert [finding["outcome"] for finding in report["findings"]] == ["pass", "failed"]
    assert "could not be run" in report["verdict"]


@pytest.mark.parametrize(
    ("own", "shuffled", "outcome"),
    [("truth", "coil", "pass"), ("truth", "truth", "stop"), ("mirror", "coil", "stop")],
)
def test_gate_four_wants_the_fold_and_the_sequence_to_matter(
    chains: list[Chain],
    own: str,
    shuffled: str,
    outcome: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    batch = collate(chains)
    made = {
        "truth": batch.ca,
        "mirror": mirror_image(batch.ca),
        "coil": coil(batch.ca, batch.ca_mask, torch.Generator().manual_seed(0)),
    }
    answers = iter((own, shuffled))

    def sampled(model: object, asked: Sequence[Chain], *rest: object) -> list[torch.Tensor]:
        traces = made[next(answers)]
        return [trace[: len(chain)] for trace, chain in zip(traces, asked, strict=True)]

    monkeypatch.setattr(memory, "sampled", sampled)
    monkeypatch.setattr(Overfit, "train", lambda *arguments: None)

    def load(changes: Mapping[str, object]) -> Recipe:
        return load_recipe("v13", "nano", values=dict(changes))

    plan = Overfit.plan(load, chains, 1440, tmp_path, 0)
    shown = (torch.device("cpu"), lambda *what: nullcontext(lambda steps: None))
    found = memory.sixteen_chains_gate(plan, chains, *shown)
    assert found.outcome == outcome
    assert found.figures["mirrored"] == (16 if own == "mirror" else 0)
