"""The gates: those that need no training for real, with faults put in; the others' machinery."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.evaluation.tm import tm_d0
from minifold_core.gates import oracle
from minifold_core.gates.chains import gate_chains, unrelated
from minifold_core.gates.levels import Levels
from minifold_core.gates.oracle import sampler_gate, score_gate
from minifold_core.gates.record import Outcome
from minifold_core.gates.wiener import Wiener, linear_gate
from minifold_core.geometry.superpose import superpose
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.training.objective import build_process
from minifold_ddpm.process import DDPM

Command = Callable[..., subprocess.CompletedProcess[str]]
PASS, STOP = Outcome.PASS, Outcome.STOP
TINY = ("--set", "training.epochs=1", "--set", "sampling.steps=4", "--set", "denoiser.layers=1")


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    return gate_chains(open_dataset())


@pytest.fixture(scope="module")
def batch(chains: list[Chain]) -> ProteinBatch:
    return collate(chains)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("v13", "nano")


def test_chains_are_whole_and_floors_know_no_relatives(chains: list[Chain]) -> None:
    assert len({chain.sequence for chain in chains}) == 16
    assert all(
        chain.ca_mask.all() and (np.diff(chain.residue_index) == 1).all() for chain in chains
    )
    (yeast,) = (chain for chain in chains if chain.name == "1crj._")
    left = {chain.name for chain in unrelated(yeast, chains)}
    assert not left & {"1crj._", "1yeb._", "1lfm.A", "1m60.A"}, "all four are cytochromes c"
    assert len(left) == 12


def test_gates_without_training_as_a_user_runs_them(minifold: Command, tmp_path: Path) -> None:
    asked = ("--gate", "g0", "--gate", "g1", "--gate", "g2", "--out", tmp_path)
    done = minifold("gates", "v13", "v8", "contact", *asked, "--json")
    assert done.returncode == 0, done.stderr
    v13, v8, contact = json.loads(done.stdout)["versions"]
    for report in (v13, v8):
        assert [finding["outcome"] for finding in report["findings"]] == ["pass"] * 3
        assert report["stops_at"] is None
        bins = report["findings"][2]["figures"]["bins"]
        assert [row["bin"] for row in bins] == ["t0-250", "t250-500", "t500-750", "t750-1000"]
        for row in bins:
            assert row["closed"] < min(row["one_point"], row["state_itself"])
    assert [finding["outcome"] for finding in contact["findings"]] == ["pass", "none", "none"]
    assert json.loads((tmp_path / "v8" / "gates.json").read_text()) == v8

    table = minifold("gates", "v13", *asked, COLUMNS="80")
    assert "v13 (nano) passes g0, g1, g2." in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


def test_g0_stops_scores_by_one_superposition(
    recipe: Recipe, batch: ProteinBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_kabsch(pred: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        scores = []
        for p, q, known in zip(pred, target, mask, strict=True):
            p, q = p[known], q[known]
            squared = (superpose(p, q).apply(p) - q).square().sum(-1)
            scores.append((1 / (1 + squared / tm_d0(len(q)) ** 2)).mean())
        return torch.stack(scores)

    assert score_gate(recipe, batch, 0).outcome is PASS
    monkeypatch.setattr(oracle, "tm_score", by_kabsch)
    assert score_gate(recipe, batch, 0).outcome is STOP


def test_g1_stops_a_sampler_that_misses_the_truth(
    recipe: Recipe, batch: ProteinBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = DDPM.step

    def forgets_the_last_step(self: DDPM, *given: Any) -> Tensor:
        return step(self, *given) if given[3] is not None else given[0]

    assert sampler_gate(recipe, batch, 0).outcome is PASS
    monkeypatch.setattr(DDPM, "step", forgets_the_last_step)
    found = sampler_gate(recipe, batch, 0)
    assert found.outcome is STOP
    assert min(found.figures["tm"].values()) < 0.999


def test_g1_stops_wrong_noise_on_the_way_to_the_truth(
    recipe: Recipe, batch: ProteinBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = DDPM.step

    def too_much_noise(
        self: DDPM, x_t: Tensor, x0: Tensor, t: int, s: int | None, *rest: Any
    ) -> Any:
        return step(self, 1.02 * x_t, x0, t, s, *rest)

    monkeypatch.setattr(DDPM, "step", too_much_noise)
    found = sampler_gate(recipe, batch, 0)
    assert found.outcome is STOP
    assert min(found.figures["tm"].values()) == pytest.approx(1, abs=1e-4), "the end looks right"


@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_g2_stops_noise_of_wrong_variance(
    factor: float,
    recipe: Recipe,
    chains: list[Chain],
    batch: ProteinBatch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = DDPM.noise

    def noise(self: DDPM, x0: Tensor, t: Tensor, mask: Tensor, generators: Any) -> Tensor:
        clean = own(self, x0, t, mask, generators)
        signal = (self.signal.sqrt()[t])[:, None, None].to(x0) * x0
        return signal + factor**0.5 * (clean - signal)

    monkeypatch.setattr(DDPM, "noise", noise)
    found = linear_gate(recipe, chains, 0)
    assert found.outcome is STOP
    first = found.figures["bins"][0]
    assert (first["ratio"] > 1) == (factor > 1)
    assert sampler_gate(recipe, batch, 0).outcome is PASS, "which never noises"


def test_g2_stops_signal_that_is_not_what_networks_are_told(
    recipe: Recipe, chains: list[Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    snr = DDPM.snr
    monkeypatch.setattr(DDPM, "snr", lambda self, t: 1.1 * snr(self, t))
    assert linear_gate(recipe, chains, 0).outcome is STOP


def test_wiener_is_the_best_linear_estimate_and_its_error_the_posterior_variance(
    recipe: Recipe,
) -> None:
    """Against the textbook formula with dense matrices, on chains drawn from the Gaussian model."""
    levels = Levels.of(build_process(recipe))
    length = 12
    squared = 0.4 * torch.arange(length, dtype=torch.float64) ** 1.1
    wiener = Wiener(squared, length, levels)
    place = np.arange(length)
    gram = np.eye(length) - 1 / length
    distances = squared.numpy()[abs(place[:, None] - place)]
    covariance = -gram @ distances @ gram / 6
    values, vectors = np.linalg.eigh(covariance)
    covariance = vectors * values.clip(0) @ vectors.T
    t = 600
    a, b = float(levels.signal[t]), float(levels.noise[t])
    assert a**2 + b**2 == pytest.approx(1, abs=1e-6)
    joint = a**2 * covariance + b**2 * gram
    gain = a * covariance @ np.linalg.pinv(joint)
    x_t = torch.randn(1, length, 3, dtype=torch.float64)
    x_t -= x_t.mean(1, keepdim=True)
    answer = wiener.denoise({}, x_t, torch.tensor([t]), torch.ones(1), torch.ones(1, length))
    np.testing.assert_allclose(answer["coords"][0], gain @ x_t[0].numpy(), atol=1e-9)

    drawn = torch.from_numpy(vectors * values.clip(0) ** 0.5) @ torch.randn(
        4000, length, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    mean = float(torch.stack([wiener.expected(x0)[t] for x0 in drawn]).mean())
    posterior = 3 * np.trace(covariance - a * gain @ covariance) / length
    assert mean == pytest.approx(posterior, rel=0.03)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("v13", "--gate", "g5"), "--gate g5"),
        (("v13", "v13"), "asked for twice"),
        (("v99",), "v99"),
        (("v8", "--with", "denoiser=ipa", "--set", "heads.rg.hidden=x"), "heads.rg.hidden"),
    ],
)
def test_wrong_requests(minifold: Command, words: tuple[str, ...], message: str) -> None:
    done = minifold("gates", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2
