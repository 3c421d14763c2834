"""``minifold inspect``: what is printed of a weights file."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from minifold_core.weights.file import open_weights
from minifold_core.weights.io import save_weights
from weights_files import header_of, perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def v12b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("v12b") / "v12b.safetensors", perturbed("v12b"))


def test_inspect_tells_what_is_in_a_file(v12b: Path, tmp_path: Path, minifold: Minifold) -> None:
    described = json.loads(minifold("inspect", v12b, "--json").stdout)
    assert (described["hash"], described["epoch"]) == ("checked", 30)
    assert described["version"]["id"] == "v12b"
    assert described["slots"]["denoiser"]["component"] == "ipa/1"
    assert described["slots"]["denoiser"]["dtypes"] == ["F32"]
    assert described["parameters"] == 855_533
    text = minifold("inspect", v12b).stdout
    assert "hash checked" in text
    assert "v12b (nano) · step 120, epoch 30 · encoder trained" in text
    torch.save({"model": open_weights(v12b).load()}, tmp_path / "theirs.pt")
    text = minifold("inspect", tmp_path / "theirs.pt").stdout
    assert "theirs.pt (the tensors of v12 or v12b, nano)" in text
    assert "took 'model'" in text


def test_inspect_prints_validation_figures_by_noise_level(
    tmp_path: Path, minifold: Minifold
) -> None:
    model, path = perturbed("v12b"), tmp_path / "best.safetensors"
    bins = ("t0-250", "t250-500", "t500-750", "t750-1000")
    metrics = {"val/fape": 2.5, "val/total": 7.0, "val/sharpness": 0.25}
    metrics |= {f"val/fape@{level}": 1.5 + n for n, level in enumerate(bins)}
    metrics |= {f"val/term{n}": float(n) for n in range(20)}
    save_weights(path, model.state_dict(), header_of(model, metrics=metrics))
    done = minifold("inspect", path, COLUMNS="80")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["validation", "all", "t", "0-250", "250-500", "500-750", "750-1000"] in lines
    first = lines.index(["total", "7.000"])
    assert lines[first + 1] == ["fape", "2.500", "1.500", "2.500", "3.500", "4.500"]
    assert lines[first + 2] == ["sharpness", "0.250"]
    assert ["and", "7", "more:", "--json"] in lines
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert json.loads(minifold("inspect", path, "--json").stdout)["metrics"] == metrics
