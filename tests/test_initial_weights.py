"""The weights that a training begins with, as a user gives them, and what is told of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from minifold_core.weights.file import open_weights
from minifold_core.weights.header import read_header
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]


def test_another_files_encoder_is_in_the_plan_and_in_the_record(
    minifold: Minifold, tmp_path: Path
) -> None:
    v12b = save(tmp_path / "v12b.safetensors", perturbed("v12b"))
    other = save(tmp_path / "other.safetensors", perturbed("v12"))
    run, nano = tmp_path / "run", ["--size", "nano", "--max-steps", 1]
    files = ["--init-from", v12b, "--encoder-from", other, "--run-dir", run]
    done = minifold("train", "v13", *nano, *files)
    assert done.returncode == 0, done.stderr
    assert f"encoder: it comes from {other} (--encoder-from)" in " ".join(done.stderr.split())
    header = read_header(run / "last.safetensors")
    assert header.parents["encoder"] == open_weights(other).sha256
    assert header.parents["denoiser"] == open_weights(v12b).sha256
    (record,) = header.migrations
    verdicts = {(row["slot"], row["verdict"]) for row in record["rows"]}
    assert {("encoder", "fresh"), ("encoder", "dropped"), ("denoiser", "copied")} <= verdicts
    assert "encoder" not in {expected["slot"] for expected in record["expectations"]}
    shown = minifold("runs", "show", run, COLUMNS="80").stdout
    told = " ".join(shown.partition("started from ")[2].partition("\nrecipe: ")[0].split())
    assert told.startswith("v12b.safetensors (v12b, nano) (78.")
    assert told.endswith(f"; encoder of weights {header.parents['encoder'][:12]}")
    assert header.parents["denoiser"][:12] not in told, "named once, by its file"
