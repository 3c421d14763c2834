"""``minifold evaluate`` as a user runs it: what it says is what lies in the files it leaves."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from biotite.structure.io import load_structure

from minifold_core.assembly import assemble
from minifold_core.cli.main import run as run_cli
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import MinifoldError
from minifold_core.evaluation import judge
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.evaluation.noise_levels import batches_of, noise_levels
from minifold_core.evaluation.paired import paired_interval
from minifold_core.evaluation.shuffled import shuffled
from minifold_core.folding import Target, fold
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.weights.digest import file_sha256
from minifold_core.weights.find import find_weights
from minifold_core.weights.header import read_header

Minifold = Callable[..., object]
FLOORS = ("one point", "coil of the right size", "another real chain", "mean distance map")
PREDICTORS = ["model", "shuffled sequence", *(f"floor: {f}" for f in FLOORS)]
PREDICTORS += ["mirror image of the truth"]
CHAINS = {chain.name: chain for chain in open_dataset().subset("validation")}


@pytest.fixture(scope="module")
def run(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["--size", "nano", "--max-steps", 2, "--run-dir", directory]
    done = minifold("train", "v14", *arguments)
    assert done.returncode == 0, done.stderr
    return directory


@pytest.fixture(scope="module")
def evaluation(minifold: Minifold, run: Path, tmp_path_factory: pytest.TempPathFactory):
    """Two samples a chain, of three steps: the result, and the directory."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    done = minifold("evaluate", run, "--steps", 3, "--count", 2, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert json.loads((out / "evaluation.json").read_text()) == result
    return result, out


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def per_chain(rows: list[dict[str, str]], predictor: str, score: str) -> np.ndarray:
    """[n] means over samples, NaN where the score is undefined."""
    values: dict[str, list[float]] = {name: [] for name in CHAINS}
    for row in rows:
        if row["predictor"] == predictor:
            values[row["chain"]].append(float(row[score] or "nan"))
    return np.array([np.mean(each) for each in values.values()])


def test_every_predictor_stands_beside_the_model(evaluation) -> None:
    result, out = evaluation
    assert [row["name"] for row in result["rows"]] == PREDICTORS
    rows = table(out / "scores.csv")
    assert len(rows) == len(CHAINS) * (2 + 2 + 4 + 1)
    for row in result["rows"]:
        tm = per_chain(rows, row["name"].removeprefix("floor: "), "tm")
        assert row["tm"] == pytest.approx(tm.mean())
        assert row["n"] == row["defined"]["tm"] == len(CHAINS)
    assert set(result["spread"]) >= {"tm", "lddt"}
    assert "floor: another real chain" not in result["best_floors"].values()
    assert result["best_floors"]["tm"] in FLOORS


def test_differences_are_paired_over_chains(evaluation) -> None:
    result, out = evaluation
    rows = table(out / "scores.csv")
    scores = [key for key in rows[0] if key not in ("chain", "length", "predictor", "sample")]
    assert len(result["differences"]) == len(scores) * (len(FLOORS) + 1)
    for each in result["differences"]:
        ours, theirs = (per_chain(rows, who, each["score"]) for who in ("model", each["against"]))
        gain = (ours - theirs)[~np.isnan(ours - theirs)]
        assert each["n"] == len(gain)
        if len(gain) < 5:
            assert each["interval_95"] is None
            continue
        assert each["difference"] == pytest.approx(gain.mean(), abs=1e-9)
        assert each["interval_95"] == pytest.approx(paired_interval(gain), abs=1e-9)


@pytest.mark.parametrize("folder", [".", "shuffled"])
def test_what_is_scored_is_what_was_saved(evaluation, folder: str) -> None:
    _, out = evaluation
    rows = table(out / "scores.csv")
    predictor = "model" if folder == "." else "shuffled sequence"
    assert len(table(out / folder / "samples.csv")) == 2 * len(CHAINS)
    for name, chain in CHAINS.items():
        for copy in (1, 2):
            atoms = load_structure(out / folder / f"{name}-{copy}.pdb")
            trace = torch.tensor(atoms.coord[atoms.atom_name == "CA"])[None]
            known = torch.tensor(chain.ca_mask)[None]
            saved = compare_structures(trace, torch.tensor(chain.ca)[None], known)
            (row,) = (
                r for r in rows
                if (r["chain"], r["predictor"], r["sample"]) == (name, predictor, str(copy))
            )  # fmt: skip
            assert saved["tm"].item() == pytest.approx(float(row["tm"]), abs=2e-3)
            assert saved["rmsd"].item() == pytest.approx(float(row["rmsd"]), abs=2e-3)


def test_backbones_stand_beside_native_ones(evaluation) -> None:
    result, _ = evaluation
    rows = {row["score"]: row for row in result["backbone"]}
    assert rows["bond_z"]["native"] < 1 < rows["bond_z"]["model"]
    assert rows["hbonds"]["n"] == len(CHAINS)


@pytest.fixture(scope="module")
def by_noise(minifold: Minifold, run: Path, tmp_path_factory: pytest.TempPathFactory):
    """A single sample a chain, judged by noise level too: what is printed, and the directory."""
    out = tmp_path_factory.mktemp("evaluation") / "out"
    arguments = ["--steps", 2, "--noise-levels", "--out", out]
    done = minifold("evaluate", run, *arguments, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    return done.stdout, out


def test_people_get_tables_of_80_columns_and_a_verdict(by_noise) -> None:
    lines = by_noise[0].splitlines()
    assert max(map(len, lines)) <= 80
    for predictor in PREDICTORS:
        assert sum(line.startswith(f" {predictor}  ") for line in lines) == 1
    assert "…" not in by_noise[0]
    words = " ".join(by_noise[0].split())
    assert "best floor" in words
    assert "over the shuffled sequence" in words
    assert "Intervals over 5 chains cover less than 95 %." in words
    assert "hides the fold" in words
    assert "lower is better in RMSD, higher in all others" in words
    assert "predicted minus shuffled" in words
    levels = json.loads((by_noise[1] / "evaluation.json").read_text())["noise_levels"]
    (start,) = (
        number for number, line in enumerate(lines) if line[1:].startswith("validation loss")
    )
    for term, bins in levels["terms"].items():
        (row,) = (line.split() for line in lines[start:] if line.startswith(f" {term} "))
        values = set(bins.values()) if term in ("rg", "aux_dist") else bins.values()
        assert row[1 : len(values) + 1] == [f"{value:.4f}" for value in values]


def test_what_flatters_stands_under_the_verdict_and_in_the_file(by_noise) -> None:
    notes = json.loads((by_noise[1] / "evaluation.json").read_text())["notes"]
    assert "2 of these 5 chains (1hpv.A, 1lcd.A)" in notes[0]  # which the shipped encoder knows
    assert "chosen by validation loss, which flatters on these chains" in notes[1]
    words = " ".join(by_noise[0].split())
    assert f"cover less than 95 %. {' '.join(notes)} " in words


def test_the_chains_of_a_training_are_known_to_it(minifold: Minifold, run: Path) -> None:
    done = minifold("evaluate", run, "--split", "train", "--steps", 1, "--no-shuffled", "--json")
    known, training, best = json.loads(done.stdout)["notes"]
    assert known.startswith("Not new to ")
    assert ": all 13 chains. These weights, or some that they began from," in known
    assert "--split validation or test asks more" in training
    assert best.endswith("chosen by validation loss.")


@pytest.mark.slow(seconds=30)
def test_chains_that_the_first_of_four_generations_knew_are_named(
    minifold: Minifold, tmp_path: Path
) -> None:
    first, moved, last = (tmp_path / name for name in ("first", "moved.safetensors", "last"))
    short = ["--size", "nano", "--max-steps", 1]
    for command in (
        ["train", "v13", *short, "--init-from", "v13:nano", "--run-dir", first],
        ["migrate", first, "--to", "v14", "--out", moved],
        ["train", "v13", *short, "--encoder-from", moved, "--run-dir", last],
    ):
        done = minifold(*command)
        assert done.returncode == 0, done.stderr
    shipped = find_weights("v13:nano")
    header = read_header(last / "last.safetensors")
    assert set(header.parents.values()) == {file_sha256(moved)}
    assert {file_sha256(shipped), file_sha256(first / "best.safetensors")} < {*header.descent}
    for split, known in (
        ("validation", "2 of these 5 chains (1hpv.A, 1lcd.A)"),
        ("train", "all 13"),
    ):
        options = ["--split", split, "--steps", 1, "--no-shuffled"]
        for weights in (moved, last):
            done = minifold("evaluate", weights, *options)
            assert f"Not new to {weights}: {known}" in " ".join(done.stdout.split())


def test_the_shuffled_sequence_gets_the_same_noise() -> None:
    model = assemble("v13", size="nano")
    chain = next(iter(CHAINS.values()))
    settings = SamplingConfig(steps=2, guidance=0)
    own, other = (
        [done.coords for done in fold(model, [Target.of(each)], settings, count=2)]
        for each in (chain, shuffled(chain))
    )
    assert all(torch.equal(a, b) for a, b in zip(own, other, strict=True))
    assert not torch.equal(own[0], own[1])


def test_a_sweep_has_a_row_for_every_setting(
    minifold: Minifold, run: Path, tmp_path: Path, evaluation
) -> None:
    out = tmp_path / "sweep"
    sweep = ["--sweep", "steps=2,3", "--sweep", "temperature=1,0.5", "--count", 2]
    done = minifold("evaluate", run, *sweep, "--out", out)
    assert done.returncode == 0, done.stderr
    rows = table(out / "sweep.csv")
    assert [(row["steps"], row["temperature"]) for row in rows] == [
        ("2", "1.0"), ("2", "0.5"), ("3", "1.0"), ("3", "0.5")
    ]  # fmt: skip
    assert len({row["tm"] for row in rows}) == 4
    plain = evaluation[0]
    assert float(rows[2]["tm"]) == pytest.approx(plain["rows"][0]["tm"], abs=1e-4)
    low, high = plain["verdict"]["tm_interval_95"]
    assert (float(rows[2]["tm_low"]), float(rows[2]["tm_high"])) == pytest.approx((low, high), 0.01)
    assert rows[2]["floor"] == plain["verdict"]["floor"]
    assert all(float(row["seconds_per_sample"]) > 0 for row in rows)
    assert len(list(out.glob("steps3-temperature0.5/*.pdb"))) == 2 * len(CHAINS)
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert "confirm it on another split" in " ".join(done.stdout.split())
    for line in ("steps · temperature", "3 · 0.5", "another real chain", "mirror image"):
        assert f" {line} " in done.stdout


def test_noise_levels_agree_with_validation(by_noise, run: Path) -> None:
    out = by_noise[1]
    found = json.loads((out / "evaluation.json").read_text())["noise_levels"]
    assert (out / "noise-levels.png").read_bytes().startswith(b"\x89PNG")
    logged = table(run / "metrics.csv")[-1]
    checked = 0
    for term, bins in found["terms"].items():
        for levels, value in bins.items():
            if term not in ("total", "total_fixed"):
                assert value == pytest.approx(float(logged[f"val/{term}@{levels}"]), 1e-3, 1e-5)
                checked += 1
    assert checked >= 4 * 8
    assert found["terms"].keys() == found["shuffled_terms"].keys()
    level = found["levels"][5]
    gap = level["x0_tm"] - level["shuffled_x0_tm"]
    assert level["over_shuffled"]["difference"] == pytest.approx(gap)


def test_a_model_that_returns_its_input_scores_as_the_noised_state() -> None:
    """Residual branches start at zero, so an untrained denoiser does just that."""
    model, chains = assemble("v13", size="nano"), list(CHAINS.values())[:2]
    told: list[int] = []
    levels = noise_levels(model, chains, on_batch=told.append)
    assert levels.times == (50, 100, 200, 300, 400, 500, 600, 700, 800, 900, 950)
    angle = (0.5 + 0.008) / 1.008 * math.pi / 2  # of the cosine schedule at half of its steps
    assert levels.sigmas[5] == pytest.approx(10 * math.tan(angle), rel=0.01)
    assert torch.allclose(levels.own, levels.state, atol=1e-3)
    assert torch.allclose(levels.shuffled, levels.state, atol=1e-3)
    assert levels.state[0].min() > 0.6
    assert levels.state[-1].max() < 0.2
    assert sum(told) == batches_of(model, chains)


def test_a_failure_in_scoring_loses_no_sample(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def fail_after_the_floors(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > judge.SCORED:
            raise MinifoldError("scoring failed")
        return compare_structures(*arguments)

    monkeypatch.setattr(judge, "compare_structures", fail_after_the_floors)
    out = tmp_path / "out"
    assert run_cli(["evaluate", str(run), "--steps", "2", "--out", str(out)]) == 1
    assert "scoring failed" in capsys.readouterr().err
    assert {path.stem for path in out.glob("*.pdb")} == set(CHAINS)
    assert {path.stem for path in out.glob("shuffled/*.pdb")} == set(CHAINS)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--sweep", "stps=2,3"], 2, "the sampler has no 'stps'; did you mean 'steps'?"),
        (["--sweep", "steps"], 2, "write FIELD=VALUE,VALUE"),
        (["--sweep", "steps=2,"], 2, "write FIELD=VALUE,VALUE"),
        (["--sweep", "steps=two"], 2, "--sweep steps=two: sampling.steps = 'two': input should"),
        (["--sweep", "eta=0,2"], 2, "--sweep eta=2: sampling.eta = '2'"),
        (["--sweep", "eta=0,0.0"], 2, "eta 0 is given twice"),
        (["--sweep", "steps=2", "--sweep", "steps=3"], 2, "'steps' is given twice"),
        (["--sweep", "steps=10,5000"], 2, "5000 sampling steps"),
        (["--sweep", "steps=2,3", "--steps", "4"], 2, "--steps and --sweep steps"),
        (["--count", "0"], 2, "--count"),
        (["--out", "."], 3, "is not empty"),
    ],
)
def test_faults(
    run: Path,
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "something").touch()
    monkeypatch.chdir(tmp_path)
    assert run_cli(["evaluate", str(run), *arguments]) == code
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error
