"""``minifold sample`` stopped, and called again."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from biotite.structure.io import load_structure

from minifold_core.errors import ProtectedError
from minifold_core.folding import Fold, Target
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.sample_files import SampleTable, structure_paths
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
SEQUENCE = "MQIFVKTLTGKTITLEVEPSD"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("weights") / "v13.safetensors", perturbed("v13"))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def trace(path: Path) -> np.ndarray:
    return load_structure(path).coord


@pytest.mark.parametrize(
    ("ending", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_stopped_sampling_leaves_a_true_table_and_can_go_on(
    minifold: Minifold, weights: Path, tmp_path: Path, ending: signal.Signals, code: int
) -> None:
    fasta, out, whole = tmp_path / "two.fasta", tmp_path / "out", tmp_path / "whole"
    fasta.write_text(f">long\n{2 * SEQUENCE}\n>short\n{SEQUENCE}\n")
    many = ["--fasta", fasta, "--count", 20, "--at-once", 3, "--steps", 20, "--eta", 1]
    command = [sys.executable, "-m", "minifold_core.cli.main", "sample", weights, *many]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*map(str, command), "--out", str(out)], **pipes) as running:
        while running.poll() is None and (
            not (out / "samples.csv").exists() or len(rows(out)) < 22
        ):
            time.sleep(0.01)
        running.send_signal(ending)
        told, said = running.communicate()
    before = rows(out)
    assert (running.returncode, told) == (code, "")
    assert 22 <= len(before) < 40
    for row in before:
        assert trace(out / row["file"]).shape == (int(row["length"]), 3)
    if ending == signal.SIGKILL:
        return
    stopped = f"stopped: {len(before)} of 40 structures are in {out}; the same command goes on"
    assert said.splitlines()[-1].startswith(stopped)
    stamps = {row["file"]: (out / row["file"]).stat().st_mtime_ns for row in before}
    going = minifold("sample", weights, *many, "--out", out)
    said = going.stderr.splitlines()[0]  # a slow machine tells of its progress after that
    assert said == f"going on: {len(before)} of 40 structures are in {out} already"
    assert going.returncode == 0
    assert minifold("sample", weights, *many, "--out", whole).returncode == 0
    for row, other in zip(rows(out), rows(whole), strict=True):
        assert {**row, "rg": "", "seconds": ""} == {**other, "rg": "", "seconds": ""}
        np.testing.assert_allclose(trace(out / row["file"]), trace(whole / row["file"]), atol=0.05)
    assert all((out / name).stat().st_mtime_ns == stamp for name, stamp in stamps.items())


def test_a_repeated_call_adds_what_is_missing_and_nothing_else(
    minifold: Minifold, weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    call = ["sample", weights, "--sequence", SEQUENCE, "--count", 2, "--steps", 2, "--out", out]
    first = minifold(*call, "--json")
    files = {path: path.read_bytes() for path in out.iterdir()}
    again = minifold(*call, "--json")
    assert (again.returncode, again.stdout) == (0, first.stdout)
    assert again.stderr == f"going on: 2 of 2 structures are in {out} already\n"
    refused = minifold(*call, "--rebuild")
    assert refused.returncode == 3
    assert "sequence-1.pdb exists and has rebuilt False, not True" in refused.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == files
    assert minifold(*call, "--count", 3).returncode == 0
    assert [row["copy"] for row in rows(out)] == ["1", "2", "3"]


def kept(out: Path, sequence: str = SEQUENCE, trajectory: bool = False, **changes: object) -> list:
    targets = [Target("b", sequence), Target("a", "MQI")]
    paths = structure_paths(out, targets, 2, "pdb", trajectory)
    table = replace(SampleTable(out, "v13", 0, SamplingConfig(), "0" * 64), **changes)
    return list(table.kept(targets, paths, trajectory))


def test_only_samples_of_the_same_call_are_kept(tmp_path: Path) -> None:
    out, b, a = tmp_path / "out", Target("b", SEQUENCE), Target("a", "MQI")
    table = SampleTable(out, "v13", 0, SamplingConfig(), "0" * 64)
    assert kept(out) == []
    table.start()
    for target, copy in ((a, 1), (b, 2), (a, 2)):
        path = out / f"{target.name}-{copy}.pdb"
        path.write_text("")
        table.add(Fold(target, copy, torch.randn(len(target.sequence), 3)), path)
    assert kept(out) == [("b", 2), ("a", 1), ("a", 2)]
    table.arrange([out / "b-2.pdb", out / "a-1.pdb"])
    assert [row["file"] for row in rows(out)] == ["a-2.pdb", "b-2.pdb", "a-1.pdb"]
    table.start()
    for changes, said in (
        ({"seed": 1}, "a-2.pdb exists and has seed 0, not 1; choose another --out"),
        ({"settings": SamplingConfig(steps=7)}, "has steps 50, not 7"),
        ({"weights": "1" * 64}, "has weights 0000"),
        ({"embeddings": "1" * 64}, "has embeddings none, not 1111"),
        ({"rebuilt": True}, "has rebuilt False, not True"),
        ({"sequence": SEQUENCE[::-1]}, f"has sequence {SEQUENCE}, not"),
        ({"trajectory": True}, r"lists b-2.pdb, but .*b-2.xt.pdb is not there"),
    ):
        with pytest.raises(ProtectedError, match=said):
            kept(out, **changes)
    one = structure_paths(out, [b], 1, "pdb", False)
    assert list(table.kept([b], one, False)) == []
    with pytest.raises(ProtectedError, match=r"b-2.pdb exists and has weights 0000"):
        replace(table, weights="1" * 64).kept([b], one, False)
    (out / "b-1.pdb").write_text("mine")
    with pytest.raises(ProtectedError, match=r"b-1.pdb exists and .*samples.csv does not list it"):
        kept(out)
    (out / "b-1.pdb").unlink()
    (out / "a-1.pdb").unlink()
    with pytest.raises(ProtectedError, match=r"lists a-1.pdb, but .*a-1.pdb is not there"):
        kept(out)
