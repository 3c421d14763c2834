"""``minifold judge`` as a user runs it."""

from __future__ import annotations

import csv
import json

import pytest

from generation_samples import LENGTH, chain_windows, helix
from minifold_core.structures import write_structure


@pytest.fixture(scope="module")
def windows():
    return chain_windows()


@pytest.fixture
def structures(tmp_path, windows):
    directory = tmp_path / "structures"
    directory.mkdir()
    for i, chain in enumerate(windows[:4]):
        path = directory / f"sample{i}.{('pdb', 'cif', 'bcif')[i % 3]}"
        write_structure(path, chain.backbone, chain.sequence, atoms=("N", "CA", "C", "O"))
    write_structure(directory / "trace.pdb", helix(), "A" * LENGTH)
    return directory


def test_cli_judges_a_directory_with_things_that_are_no_structure(
    minifold, structures, tmp_path
) -> None:
    write_structure(structures / "two.pdb", helix(2), "AA")
    (structures / "notes.pdb").write_text("these are my notes\n")
    (structures / "notes.txt").write_text("and these too\n")
    out = tmp_path / "out"
    done = minifold("judge", structures, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    assert "two.pdb" in done.stderr or "two.A" in done.stderr
    assert "notes.pdb" in done.stderr
    result = json.loads(done.stdout)
    assert json.loads((out / "judge.json").read_text()) == result
    assert result["structures"] == 5
    assert result["backbones"] == 4
    assert len(result["left_out"]) == 2
    assert "No designability" in result["designability"]
    rows = list(csv.DictReader((out / "judge.csv").open()))
    assert [row["name"] for row in rows][:2] == ["sample0.A", "sample1.A"]
    assert {row["backbone"] for row in rows} == {"True", "False"}
    pictures = {path.stem for path in out.glob("*.png")}
    assert pictures == {"pseudo_ramachandran", "ramachandran", "size", "content"}
    again = minifold("judge", structures, "--out", out)
    assert again.returncode == 3
    assert "not empty" in again.stderr


def test_cli_judges_what_a_table_lists_and_pools_no_samplings(minifold, tmp_path) -> None:
    out, sweep = tmp_path / "evaluation", tmp_path / "sweep"
    for asked in (["--steps", 1, "--out", out], ["--sweep", "steps=1,2", "--out", sweep]):
        done = minifold("evaluate", "v15", *asked)
        assert done.returncode == 0, done.stderr
    (out / "mine.pdb").write_bytes(next(out.glob("*.pdb")).read_bytes())
    chains = len(list(csv.DictReader((out / "samples.csv").open())))

    def judged(*directories) -> tuple[int, str]:
        done = minifold("judge", *directories, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["structures"], done.stderr

    found, said = judged(out)
    assert found == chains
    assert f"left out, with a samples.csv of its own: shuffled in {out}" in said
    assert judged(sweep / "steps1", sweep / "steps2")[0] == 2 * chains
    refused = minifold("judge", sweep)
    assert refused.returncode == 2
    assert "samples.csv (steps1, steps2): judge one, such as" in refused.stderr
    gone = next((sweep / "steps1").glob("*.pdb"))
    gone.unlink()
    refused = minifold("judge", sweep / "steps1")
    assert refused.returncode == 2
    assert f"lists {gone.name}, which is not there" in refused.stderr


def test_cli_judges_one_structure_and_repeats_itself(minifold, structures) -> None:
    first, second = (minifold("judge", structures / "trace.pdb") for _ in range(2))
    assert first.returncode == 0, first.stderr
    words = " ".join(first.stdout.split())
    for expected in ("matched: how many", "too few to tell", "No designability is claimed"):
        assert expected in words
    assert first.stdout == second.stdout


def test_cli_says_what_is_wrong_in_a_line(minifold, structures, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    write_structure(tmp_path / "two.pdb", helix(2), "AA")
    for name in ("notes.md", "chain_set.jsonl"):
        (tmp_path / name).write_text("no structure")
    offer = "; give PDB, mmCIF, BinaryCIF (plain or .gz)"
    for arguments, words in (
        ([tmp_path / "empty"], f"no structure file found{offer}\n"),
        ([tmp_path / "none"], f"no such file or directory{offer}\n"),
        ([tmp_path / "two.pdb"], "at least 20 residues"),
        ([tmp_path / "notes.md"], f"not a structure file{offer}"),
        ([tmp_path / "chain_set.jsonl"], f"not a structure file{offer}"),
        ([structures, "--split", "tarin"], "did you mean 'train'"),
        ([structures, "--data", tmp_path / "none"], "none"),
    ):
        done = minifold("judge", *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) <= 2
        assert done.stdout == ""
