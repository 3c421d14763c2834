"""Flow matching and EDM: noise levels and steps are those of their papers; commands take them."""

from __future__ import annotations

import csv
import math
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

import pytest
import torch
from pydantic import ValidationError

from minifold_edm.config import EDMConfig
from minifold_edm.process import EDM
from minifold_flow.config import FlowConfig
from minifold_flow.process import Flow

NORMAL = NormalDist()


@pytest.mark.parametrize("noise", [10.0, 16.0])
def test_flow_levels_are_quantiles_of_their_distribution(noise: float) -> None:
    """(1 - τ) x0 against τ times noise; of τ uniform, or its logit standard normal."""
    uniform = Flow(FlowConfig(timesteps=100, noise=noise))
    logit = Flow(FlowConfig(timesteps=100, noise=noise, time_distribution="logit_normal"))
    for t in (0, 1, 40, 98):
        share = (t + 1) / 100
        for process, tau in (
            (uniform, share),
            (logit, 1 / (1 + math.exp(-NORMAL.inv_cdf(share)))),
        ):
            right = ((1 - tau) / (tau * noise / 10)) ** 2
            assert float(process.snr(torch.tensor([t]))) == pytest.approx(right, rel=1e-5)
    for process in (uniform, logit):
        assert process.snr(torch.tensor([99])).tolist() == [0.0], "the last is pure noise"


@pytest.mark.parametrize("distribution", ["uniform", "logit_normal"])
def test_flow_steps_are_even_in_its_time(distribution: str) -> None:
    process = Flow(FlowConfig.model_validate({"time_distribution": distribution}))
    snr = process.snr(torch.tensor(process.trajectory(20))).double()
    tau = 1 / (1 + snr.sqrt())
    even = torch.arange(20, 0, -1, dtype=torch.float64) / 20
    # Where a logit-normal has few levels: the next below the noisiest, and the last.
    assert float((tau - even).abs().max()) < (1e-6 if distribution == "uniform" else 0.01)


def test_edm_levels_are_lognormal_between_their_ends() -> None:
    config = EDMConfig(sigma_data=6.0, p_mean=-1.0, p_std=1.2, sigma_min=0.1, sigma_max=60.0)
    process = EDM(config)
    sigma = 10 * process.snr(torch.arange(1000)).double().rsqrt()
    assert sigma[[0, -1]].tolist() == pytest.approx([0.1, 60.0], rel=1e-5)
    assert bool((sigma.diff() > 0).all())
    law = NormalDist(math.log(6.0) - 1.0, 1.2)
    low, high = law.cdf(math.log(0.1)), law.cdf(math.log(60.0))
    for below in (0.3, 1.0, 2.2, 10.0, 30.0):
        share = (law.cdf(math.log(below)) - low) / (high - low)
        assert float((sigma < below).double().mean()) == pytest.approx(share, abs=1.1e-3)


def test_edm_steps_are_those_of_its_paper() -> None:
    """Karras et al. 2022, Eq. 5, in a table that is dense where the steps are."""
    process = EDM(EDMConfig(timesteps=20_000, p_std=4.0))
    sigma = 10 * process.snr(torch.tensor(process.trajectory(18))).double().rsqrt()
    high, low = 1344.0 ** (1 / 7), 0.00336 ** (1 / 7)
    for i, found in enumerate(sigma.tolist()):
        assert found == pytest.approx((high + i / 17 * (low - high)) ** 7, rel=0.01)


def test_edm_far_from_its_distribution_still_has_levels() -> None:
    """Ends that lie fifty deviations out, and steps that skip the gap on the way."""
    process = EDM(EDMConfig(p_std=0.1))
    snr = process.snr(torch.arange(1000))
    assert bool(snr.isfinite().all() and (snr.diff() < 0).all())
    assert float(10 * snr[-1].rsqrt()) == pytest.approx(1344, rel=1e-5)
    assert all(a > b for a, b in pairwise(process.trajectory(50)))
    with pytest.raises(ValidationError, match="do not enclose the median noise level"):
        EDMConfig(sigma_max=2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flow", "edm"])
def test_a_version_trains_and_samples_with_another_process(
    name: str, minifold: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    parts = ("--with", f"process={name}", "--set", "denoiser.layers=1")
    done = minifold("train", "v13", "--size", "nano", *parts, "--max-steps", 2, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    asked = ("--sequence", "MQIFVKTLTGKTITLEVEPSDTIENVK", "--steps", 10, "--out", out)
    done = minifold("sample", run, *asked)
    assert done.returncode == 0, done.stderr
    with (out / "samples.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert 0 < float(row["rg"]) < 100
