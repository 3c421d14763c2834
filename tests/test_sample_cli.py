"""``minifold sample`` as a user runs it, with nano weights and a few steps."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import gemmi
import numpy as np
import pytest
from biotite.structure.io import load_structure, pdbx

from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
SEQUENCE = "MQIFVKTLTGKTITLEVEPSD"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {
        version: save(folder / f"{version}.safetensors", perturbed(version))
        for version in ("v12", "v13", "v14")
    }


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def notes(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a command says beside its progress, of which a slow machine shows more."""
    return [line for line in done.stderr.splitlines() if line.startswith("note: ")]


def structure(path: Path):
    """All models of a file, by biotite and, but for BinaryCIF, by gemmi too."""
    if path.suffix == ".bcif":
        return pdbx.get_structure(pdbx.BinaryCIFFile.read(path))
    atoms = load_structure(path)
    read = gemmi.read_structure(str(path))
    models = [[a.atom.pos.tolist() for a in model.all()] for model in read]
    np.testing.assert_allclose(np.reshape(models, atoms.coord.shape), atoms.coord, atol=1e-4)
    return atoms


@pytest.mark.parametrize("suffix", ["pdb", "cif", "bcif"])
def test_samples_their_table_and_their_trajectories(
    minifold: Minifold, weights: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    fasta, out = tmp_path / "two.fasta", tmp_path / "out"
    fasta.write_text(f">first of two\n{SEQUENCE.lower()}\n\n>second/1\nMNPQR STVW\nYACD\n")
    options = ["--fasta", fasta, "--count", 2, "--steps", 4, "--eta", 0.5, "--guidance", 2]
    options += ["--temperature", 0.9, "--seed", 7, "--format", suffix, "--trajectory"]
    done = minifold("sample", weights["v13"], *options, "--out", out)
    assert done.returncode == 0
    assert notes(done) == [
        "note: second/1 has 13 residues; models train on 20 to 125 unless their data was packed "
        "with --min-length or --max-length"
    ]
    table = rows(out)
    digest = sha256(weights["v13"].read_bytes()).hexdigest()
    # The order of the input, though short chains are sampled first.
    stems = ["first-1", "first-2", "second_1-1", "second_1-2"]
    assert [row["file"] for row in table] == [f"{stem}.{suffix}" for stem in stems]
    assert [row["name"] for row in table] == ["first"] * 2 + ["second/1"] * 2
    assert [row["copy"] for row in table] == ["1", "2"] * 2
    assert [row["length"] for row in table] == ["21"] * 2 + ["13"] * 2
    kinds = ("", ".xt", ".x0")
    files = {f"{stem}{kind}.{suffix}" for stem in stems for kind in kinds}
    assert {path.name for path in out.iterdir()} == {"samples.csv", *files}
    for row in table:
        settings = [row[k] for k in ("seed", "steps", "eta", "guidance", "temperature", "weights")]
        assert settings == ["7", "4", "0.5", "2.0", "0.9", digest]
        path = out / row["file"]
        trace, states, predictions = (
            structure(path.with_name(f"{path.stem}{kind}.{suffix}")).coord.reshape(
                1 if kind == "" else 4, -1, 3
            )
            for kind in kinds
        )
        assert trace.shape[1] == int(row["length"])
        rg = np.sqrt(((trace[0] - trace[0].mean(0)) ** 2).sum(-1).mean())
        assert float(row["rg"]) == pytest.approx(rg, abs=2e-3)
        assert float(row["seconds"]) > 0
        # The last prediction is the sample, and every model is centred.
        np.testing.assert_array_equal(predictions[-1], trace[0])
        assert abs(np.concatenate([states, predictions]).mean(1)).max() < 2e-3
        assert row["sequence"] == {"first": SEQUENCE, "second/1": "MNPQRSTVWYACD"}[row["name"]]
        assert row["rebuilt"] == "False"


def test_rebuilt_backbones_stand_on_the_trace_of_the_model(
    minifold: Minifold, weights: dict[str, Path], tmp_path: Path
) -> None:
    for name, flags in (("trace", []), ("whole", ["--rebuild"])):
        options = ["--sequence", SEQUENCE, "--steps", 3, "--out", tmp_path / name, *flags]
        assert minifold("sample", weights["v13"], *options).returncode == 0
    trace, whole = (structure(tmp_path / name / "sequence.pdb") for name in ("trace", "whole"))
    assert list(whole.atom_name) == ["N", "CA", "C", "O"] * len(SEQUENCE) + ["OXT"]
    np.testing.assert_allclose(whole.coord[whole.atom_name == "CA"], trace.coord, atol=2e-3)
    assert "REBUILT FROM THE CA TRACE" in (tmp_path / "whole" / "sequence.pdb").read_text()
    own = ["--sequence", SEQUENCE, "--rebuild", "--out", tmp_path / "own"]
    done = minifold("sample", weights["v14"], *own)
    assert (done.returncode, (tmp_path / "own").exists()) == (2, False)
    assert "--rebuild: v14 places N, C and O itself" in done.stderr


def test_what_is_unusual_is_told_in_a_line(
    minifold: Minifold, weights: dict[str, Path], tmp_path: Path
) -> None:
    long = ["--sequence", 13 * "MQIFUVKTLB", "--steps", 1, "--out", tmp_path / "long"]
    done = minifold("sample", weights["v13"], *long)
    assert done.returncode == 0
    assert notes(done) == [
        "note: B, U are sampled as X, an unknown residue",
        "note: sequence has 130 residues; models train on 20 to 125 unless their data was packed "
        "with --min-length or --max-length",
    ]
    for version, said in (("v12", True), ("v13", False)):
        options = ["--length", 30, "--steps", 2, "--out", tmp_path / version]
        done = minifold("sample", weights[version], *options)
        assert done.returncode == 0
        assert (f"{version} never trained without a sequence" in done.stderr) == said
        assert structure(tmp_path / version / "length30.pdb").res_name[0] == "UNK"


def test_a_seed_gives_one_structure_however_many_are_asked_for(
    minifold: Minifold, weights: dict[str, Path], tmp_path: Path
) -> None:
    for name, count in (("one", 1), ("some", 3)):
        options = ["--sequence", SEQUENCE, "--steps", 5, "--eta", 1, "--count", count]
        assert (
            minifold("sample", weights["v13"], *options, "--out", tmp_path / name).returncode == 0
        )
    alone = structure(tmp_path / "one" / "sequence.pdb").coord
    first = structure(tmp_path / "some" / "sequence-1.pdb").coord
    np.testing.assert_allclose(first, alone, atol=2e-3)


def test_wrong_requests_end_before_anything_is_written(
    minifold: Minifold, weights: dict[str, Path], tmp_path: Path
) -> None:
    clash = tmp_path / "clash.fasta"
    clash.write_text(f">a/1\n{SEQUENCE}\n>a_1\n{SEQUENCE}\n")
    (tmp_path / "file").write_text("")
    foreign, out = tmp_path / "foreign", tmp_path / "never"
    foreign.mkdir()
    (foreign / "samples.csv").write_text("name,score\na,1\n")
    one = ["--sequence", SEQUENCE, "--out"]
    for options, code, said in (
        (["--fasta", clash, "--out", out], 2, "share a file name"),
        (["--sequence", "MQ*", "--out", out], 2, "--sequence: '*' at position 3"),
        ([*one, out, "--temperature", 0], 2, "--temperature: sampling.temperature = 0"),
        (
            ["--length", 2, "--out", out],
            2,
            "--length, length2: 2 residues; a structure needs at le",
        ),
        (["--length", 20_000, "--out", out], 2, "length20000 has 20000 residues: to sample it"),
        (["--length", 9, "--guidance", 2, "--out", out], 2, "no sequence to guide with"),
        ([*one, tmp_path / "file"], 2, "is a file, not a directory; choose another --out"),
        ([*one, foreign], 3, "is no table of samples"),
    ):
        done = minifold("sample", weights["v13"], *options)
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        assert (done.returncode, len(errors), done.stdout) == (code, 1, ""), (options, done.stderr)
        assert said in errors[0], (options, errors)
    assert not out.exists()
    assert [path.name for path in foreign.iterdir()] == ["samples.csv"]
