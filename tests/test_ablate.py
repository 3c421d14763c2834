"""Ablations: a budget ends a training like its last step, and figures are those of the samples."""

from __future__ import annotations

import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from minifold_core.ablation.budget import Budget
from minifold_core.ablation.judged import Arm, judge_recipe, recipe_row
from minifold_core.ablation.question import Entry
from minifold_core.ablation.samples import Sampled
from minifold_core.ablation.trainings import clear_unbegun
from minifold_core.ablation.words import sentences
from minifold_core.comparison.quantities import Trained
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.evaluation.judge import Bench
from minifold_core.recipe import load_recipe
from minifold_core.runs import read_run
from minifold_core.training import trainer as trainer_module
from minifold_core.training.options import Options
from minifold_core.weights.io import load_model
from training_helpers import CPU, fit, trainer

Minifold = Callable[..., subprocess.CompletedProcess[str]]
SMALL = "[denoiser]\nlayers = 1\n[training]\nsample_every = 0\nself_conditioning = 0.0\n"
TINY = {"denoiser__layers": 1, "training__batch_size": 1, "training__sample_every": 0}
FAST = ["--size", "nano", "--seeds", "2", "--budget", "3steps", "--steps", "2"]


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("600s", Budget(seconds=600)),
        ("10m", Budget(seconds=600)),
        ("2h", Budget(seconds=7200)),
        ("500steps", Budget(steps=500)),
    ],
)
def test_a_budget_is_seconds_or_steps(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize("text", ["", "10", "0s", "-5m", "1.5h", "3epochs", "10m 5s"])
def test_any_other_budget_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(RequestError, match="600s, 10m, 2h or 500steps"):
        Budget.parse(text)


def test_seconds_end_a_training_as_steps_do_and_are_kept_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every look at the clock is a second later, and a step looks at its start and its end."""
    ticks = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    monkeypatch.setattr(trainer_module, "time", clock)
    options = Options(CPU, max_seconds=3.0, save_every=1e9, data="demo")
    (tmp_path / "whole").mkdir()
    whole = fit(trainer("v12b", options, **TINY), tmp_path / "whole")
    record = read_run(whole.directory)
    assert (record.step, record.progress["seconds"], record.standing) == (3, 3.0, "finished")
    assert [row["epoch"] for row in whole.epochs()] == ["1"]
    assert float(whole.epochs()[0]["val/total_fixed"]) > 0
    assert whole.best.is_file()
    assert load_model(whole.last)[1].step == 3

    stopped = trainer("v12b", options, **TINY)
    stopped.on_step = lambda steps, words="": (
        os.kill(os.getpid(), signal.SIGTERM) if stopped.progress.step == 2 else None
    )
    (tmp_path / "parts").mkdir()
    with pytest.raises(SystemExit, match="143"):
        fit(stopped, tmp_path / "parts")
    parts = type(whole)(tmp_path / "parts" / "run")
    record = read_run(parts.directory)
    assert (record.step, record.progress["seconds"], record.standing) == (2, 2.0, "resumable")
    again = trainer("v12b", options, **TINY)
    again.resume(parts)
    again.fit(parts)
    assert read_run(parts.directory).standing == "finished"
    one, other = (load_model(run.last)[0].state_dict() for run in (whole, parts))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_only_what_a_training_left_before_its_first_state_is_cleared(tmp_path: Path) -> None:
    run = fit(trainer("v12b", Options(CPU, max_steps=1, data="demo"), **TINY), tmp_path)
    run.state.unlink()
    before = sorted(run.directory.iterdir())
    with pytest.raises(ProtectedError, match=r"has .* and no state\.safetensors to go on from"):
        clear_unbegun(run.directory)
    assert sorted(run.directory.iterdir()) == before
    for path in before:
        if path.name not in ("recipe.toml", "environment.json"):
            path.unlink()
    clear_unbegun(run.directory)
    assert list(run.directory.iterdir()) == []
    clear_unbegun(tmp_path / "not there")


def test_figures_and_intervals_are_those_of_the_samples() -> None:
    """Truths with noise of two sizes, by three trainings each: means and intervals by hand."""
    data = open_dataset()
    chains = [chain for chain in data if len(chain) < 120][:8]
    bench = Bench.of(chains, data, 0)
    generator = torch.Generator().manual_seed(3)

    def arm(label: str, noise: float, first: Arm | None) -> Arm:
        recipe = load_recipe(label, "nano")
        sampled = [
            Sampled(
                Trained(f"{label}, {seed}", "last.safetensors", label, seed, 7, 1, "d"),
                1000,
                {c.name: _noisy(c, (1 + seed / 20) * noise, generator) for c in chains},
                {c.name: _noisy(c, 9.0, generator) for c in chains},
            )
            for seed in range(3)
        ]
        return judge_recipe(Entry(label, recipe), sampled, [1.0] * 3, bench, first, lambda n: None)

    first = arm("v12b", 0.7, None)
    other = arm("v13", 1.2, first)
    one, two = (each.judgement.scores["model"]["tm"].numpy() for each in (first, other))
    assert one.shape == (8, 6)  # two samples of three trainings
    row = recipe_row(other, 0)
    assert row["tm"] == pytest.approx(two.mean())
    assert row["tm_minus_first"] == pytest.approx(two.mean() - one.mean())
    gains = two.mean(1) - one.mean(1)
    draw = np.random.default_rng(11)
    means = [draw.choice(gains, len(gains)).mean() for _ in range(4000)]
    low, high = np.quantile(means, (0.025, 0.975))
    assert row["tm_minus_first_low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert row["tm_minus_first_high"] == pytest.approx(high, abs=0.1 * (high - low))
    ours, theirs = (each.reshape(8, 3, 2).mean((0, 2)) for each in (two, one))
    assert first.by_seed("tm") == pytest.approx(theirs.tolist())
    half = (row["tm_minus_first_seeds_high"] - row["tm_minus_first_seeds_low"]) / 2
    error = np.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 3)
    assert 2.776 - 1e-3 < half / error < 4.303 + 1e-3  # Student's t of 4 to 2 degrees of freedom
    shuffled = other.judgement.scores["shuffled sequence"]["tm"].numpy()
    assert row["tm_minus_shuffled"] == pytest.approx(two.mean() - shuffled.mean())
    text = " ".join(sentences([first, other], len(chains)))
    assert "in TM-score: v12b, v13 of 2. v12b clears it by +0." in text
    assert "v13 is worse than v12b: TM-score -0." in text
    assert "over seeds" in text
    assert "covers less than 95 %" in text


def _noisy(chain: Chain, size: float, generator: torch.Generator) -> torch.Tensor:
    """Two samples [2, L, 3] of a chain with a known structure."""
    truth = torch.nan_to_num(torch.tensor(chain.ca))
    return truth + size * torch.randn(2, *truth.shape, generator=generator)


def test_one_seed_says_nothing_about_training_and_floors_come_first() -> None:
    data = open_dataset()
    chains = [chain for chain in data if len(chain) < 120][:6]
    bench = Bench.of(chains, data, 0)
    generator = torch.Generator().manual_seed(3)
    points = {c.name: torch.zeros(1, len(c), 3) for c in chains}
    sampled = Sampled(Trained("a", "last", "a", 0, 7, 1, "d"), 1, points, {})
    near = Sampled(
        Trained("b", "last", "b", 0, 7, 1, "d"),
        1,
        {c.name: _noisy(c, 1.0, generator) for c in chains},
        {},
    )
    entries = [Entry(name, load_recipe(name, "nano")) for name in ("v12b", "v13")]
    first = judge_recipe(entries[0], [sampled], [1.0], bench, None, lambda n: None)
    other = judge_recipe(entries[1], [near], [1.0], bench, first, lambda n: None)
    said = sentences([first, other], len(chains))
    assert "in TM-score: v13 of 2. v12b is below it by -0." in said[0]
    assert "Reading no sequence: v12b, v13." in said[1]
    assert "One seed says nothing about training" in said[-1]
    alone = sentences([first], len(chains))
    assert "None of 1 recipes" in alone[0]
    assert "at the floor is no progress" in alone[0]
    assert "fewer than 5" in sentences([first], 4)[0]


@pytest.mark.slow
def test_an_ablation_from_the_command_line_stopped_resumed_and_asked_otherwise(
    minifold: Minifold, tmp_path: Path
) -> None:
    (tmp_path / "small.toml").write_text(f'extends = "v12b"\n{SMALL}')
    (tmp_path / "wide.toml").write_text('extends = "small.toml"\n[losses.bond]\nweight = 0.5\n')
    out = tmp_path / "out"
    command = ["ablate", tmp_path / "small.toml", tmp_path / "wide.toml", *FAST, "--out", out]

    planned = minifold(*command, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "4 trainings one after the other, 0 of them finished; left: 12 steps" in planned.stderr
    assert not out.exists()

    process = subprocess.Popen(
        [sys.executable, "-m", "minifold_core.cli.main", *map(str, command)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    second = out / "wide" / "seed-0"
    while not (second / "steps.jsonl").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 143, said
    assert "the whole ablation goes on with: minifold ablate" in said
    finished = (out / "small" / "seed-0" / "last.safetensors").stat().st_mtime_ns

    done = minifold(*command, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (out / "small" / "seed-0" / "last.safetensors").stat().st_mtime_ns == finished
    for name in ("small", "wide"):
        for seed in range(2):
            lines = (out / name / f"seed-{seed}" / "steps.jsonl").read_text().splitlines()
            assert [json.loads(line)["step"] for line in lines] == [1, 2, 3]
    assert [row["name"] for row in found["rows"][-2:]] == ["small", "wide"]
    assert {row["kind"] for row in found["rows"][:-2]} == {"floor"}
    weights = [each["sha256"] for recipe in found["recipes"] for each in recipe["trainings"]]
    assert len({*weights}) == 4

    with (out / "scores.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    for row in found["rows"][-2:]:
        own = [s for s in scores if (s["recipe"], s["sequence"]) == (row["name"], "own")]
        assert len(own) == 2 * len(found["judged"]["chains"])
        assert row["tm"] == pytest.approx(np.mean([float(s["tm"]) for s in own]))
        mixed = [s for s in scores if (s["recipe"], s["sequence"]) == (row["name"], "shuffled")]
        lost = row["tm"] - np.mean([float(s["tm"]) for s in mixed])
        assert row["tm_minus_shuffled"] == pytest.approx(lost)
    assert found["rows"][-1]["tm_minus_first"] == pytest.approx(
        found["rows"][-1]["tm"] - found["rows"][-2]["tm"]
    )
    (known,) = (sentence for sentence in found["sentences"] if "Not new to" in sentence)
    assert "Not new to small and wide: 2 of these 5 chains (1hpv.A, 1lcd.A)." in known
    page = (out / "ablation.md").read_text()
    assert all(sentence in page for sentence in found["sentences"])
    assert (out / "ablation.png").stat().st_size > 5000

    again = minifold(*command, COLUMNS="80")  # nothing is trained or sampled anew
    assert again.returncode == 0, again.stderr
    assert "epoch" not in again.stderr
    assert max(map(len, again.stdout.splitlines())) <= 80
    told = " ".join(again.stdout.split())
    assert "2 seeds are too few for an interval over trainings" in told
    assert known in told

    for change, word in (
        (["--budget", "4steps"], "budget was 3 steps, is 4 steps"),
        (["--size", "full"], "size was nano, is full"),
    ):
        refused = minifold(*command, *change, "--dry-run")
        assert refused.returncode == 3
        assert word in refused.stderr
    (tmp_path / "wide.toml").write_text('extends = "small.toml"\n[losses.bond]\nweight = 0.9\n')
    refused = minifold(*command)
    assert (refused.returncode, "recipe wide has other values" in refused.stderr) == (3, True)
    refused = minifold("ablate", "v13", *FAST, "--out", tmp_path)
    assert (refused.returncode, "holds no ablation" in refused.stderr) == (3, True)


@pytest.mark.parametrize(
    ("recipes", "said"),
    [
        (["contact"], "denoises nothing"),
        (["v13", "v13"], "both called v13"),
        (["v13", "copy.toml"], "one and the same recipe"),
    ],
)
def test_recipes_that_cannot_be_told_apart_or_judged_are_refused(
    minifold: Minifold, tmp_path: Path, recipes: list[str], said: str
) -> None:
    (tmp_path / "copy.toml").write_text('extends = "v13"\n')
    done = minifold("ablate", *recipes, *FAST, "--out", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "out").exists()
