"""Relatives between splits: made ones are found, chance ones are not, and the command says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from biotite.sequence import ProteinSequence
from biotite.sequence.align import SubstitutionMatrix, align_optimal
from typer.testing import CliRunner

from minifold_core.cli import data as commands
from minifold_core.data import Chain, open_dataset
from minifold_core.data import leakage as module
from minifold_core.data.alignment import SEARCHED, UngappedSearch, align, e_value
from minifold_core.data.packwriter import write_pack
from minifold_core.residues import AMINO_ACIDS

RNG = np.random.default_rng(0)
LETTERS = np.array(list(AMINO_ACIDS))
REAL = [chain.sequence for chain in open_dataset().subset("train")]


def chain(name: str, sequence: str, split: str = "train") -> Chain:
    length = len(sequence)
    backbone = np.zeros((length, 4, 3), np.float32)
    known = np.ones((length, 4), bool)
    return Chain(name, sequence, np.arange(length, dtype=np.int32), backbone, known, split=split)


def mutated(sequence: str, identity: float) -> str:
    """The sequence with other residues at random places, so that ``identity`` of it stays."""
    letters = np.array(list(sequence))
    for i in RNG.choice(len(letters), round((1 - identity) * len(letters)), replace=False):
        letters[i] = RNG.choice(LETTERS[letters[i] != LETTERS])
    return "".join(letters)


def shuffled(sequence: str) -> str:
    return "".join(RNG.permutation(list(sequence)))


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """Real training chains, one of them twice; relatives, strangers and a fragment held out."""
    long = next(s for s in REAL if len(s) > 100)
    train = [chain(f"t{i}.A", s) for i, s in enumerate([*REAL, REAL[0]])]
    held = [chain(f"m{i}.A", mutated(long, i / 100), "validation") for i in (90, 60, 40)]
    held += [chain(f"s{i}.A", shuffled(s), "validation") for i, s in enumerate(REAL)]
    held += [chain("fragment.A", long[20:60], "test"), chain("m80.A", held[0].sequence, "test")]
    write_pack(tmp_path / "leaky.safetensors", [*train, *held], [], {"sources": ["made"]})
    return tmp_path / "leaky.safetensors"


def test_relatives_are_found_and_strangers_are_not(leaky: Path) -> None:
    report = module.check(open_dataset(leaky))
    assert report["duplicates_in_train"] == 1
    parts = {(part["split"], part["against"]): part for part in report["compared"]}
    validation, test = parts["validation", "train"], parts["test", "train"]
    related = {row["chain"]: row for row in validation["nearest"] if row["relative"]}
    assert set(related) == {"m90.A", "m60.A", "m40.A"}
    for name, identity in (("m90.A", 0.9), ("m60.A", 0.6), ("m40.A", 0.4)):
        assert related[name]["identity"] == pytest.approx(identity, abs=0.08)
    assert validation["chains"] == sum(validation["histogram"].values()) == len(REAL) + 3
    (fragment,) = (row for row in test["nearest"] if row["chain"] == "fragment.A")
    assert (fragment["identity"], fragment["aligned"], fragment["coverage"]) == (1, 40, 1)
    assert fragment["relative"]
    assert parts["test", "validation"]["nearest"][0]["nearest"] == "m90.A"
    data = open_dataset(leaky)
    near = module.with_relatives(data.subset("validation"), data.subset("train"))
    assert set(near) == set(related)


def test_the_nearest_is_that_of_aligning_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no threshold all are aligned: those that count come out the same."""
    quick = module.check(open_dataset())["compared"][0]["nearest"]
    monkeypatch.setattr(module, "MIN_UNGAPPED", 0)
    full = module.check(open_dataset())["compared"][0]["nearest"]
    assert {r["chain"]: r["relative"] for r in quick} == {r["chain"]: r["relative"] for r in full}
    best = {row["chain"]: row["score"] for row in full}
    assert all(row["score"] <= best[row["chain"]] for row in quick)


def test_scores_without_gaps_are_those_of_every_diagonal() -> None:
    """Gaps that cost more than any chain scores leave biotite's alignment the same search."""
    matrix = SubstitutionMatrix.std_protein_matrix()
    targets = [ProteinSequence(s) for s in (*REAL, "W", "GX")] * 10  # more than one block
    query = ProteinSequence(mutated(REAL[3], 0.5))
    found = UngappedSearch(targets).scores(query)
    for target, score in list(zip(targets, found, strict=True))[:20]:
        best = align_optimal(query, target, matrix, (-9999, -9999), local=True, max_number=1)
        assert score == best[0].score
    assert (found.reshape(10, -1) == found[: len(REAL) + 2]).all()


def test_an_alignment_by_hand() -> None:
    """WWWW CCCC, WWWW D CCCC: 4 x 11 + 4 x 9 less a gap of 11; E = K m n exp(-λ S), n fixed."""
    hit = align(ProteinSequence("WWWWCCCC"), ProteinSequence("WWWWDCCCC"))
    assert (hit.score, hit.aligned, hit.identity, hit.coverage) == (69, 8, 1, 1)
    assert e_value(69, 8) == pytest.approx(0.041 * 8 * SEARCHED * np.exp(-0.267 * 69))


def info(*arguments: object) -> str:
    result = CliRunner().invoke(commands.app, ["info", *map(str, arguments)])
    assert result.exit_code == 0
    return result.stdout


def test_the_command_warns_in_words_and_lists_in_json(leaky: Path) -> None:
    text = info(leaky)
    assert f"relatives   3 of {len(REAL) + 3} validation chains have one in train" in text
    assert "2 of 2 test chains have one in validation" in text
    assert "--drop-relatives" in text
    assert "duplicates  1 training chains repeat" in text
    listed = json.loads(info(leaky, "--json"))["leakage"]
    assert [part["with_relative"] for part in listed["compared"]] == [3, 2, 2]
    *of_training, held_out = listed["compared"]
    assert "warning" in " ".join(module.render(listed | {"compared": of_training}))
    assert "warning" not in " ".join(module.render(listed | {"compared": [held_out]}))


def test_packing_leaves_the_relatives_out_of_training(tmp_path: Path) -> None:
    """From files to a pack whose training chains are strangers to the held-out ones."""
    long = next(s for s in REAL if len(s) > 100)
    rows = {f"t{i}.A": (s, "train") for i, s in enumerate(REAL)}
    rows |= {"held.A": (mutated(long, 0.6), "validation"), "other.A": (shuffled(long), "test")}
    with (tmp_path / "chain_set.jsonl").open("w") as file:
        for name, (sequence, _) in rows.items():
            atoms = np.arange(3.0 * len(sequence)).reshape(-1, 3).tolist()
            coords = dict.fromkeys(("N", "CA", "C", "O"), atoms)
            file.write(json.dumps({"name": name, "seq": sequence, "coords": coords}) + "\n")
    table = tmp_path / "splits.tsv"
    table.write_text("name\tsplit\n" + "".join(f"{n}\t{s}\n" for n, (_, s) in rows.items()))
    source, out = tmp_path / "chain_set.jsonl", tmp_path / "clean.safetensors"
    given = [str(source), "--splits", str(table), "--out", str(out), "--max-length", "1000"]
    result = CliRunner().invoke(commands.app, ["pack", *given, "--drop-relatives", "--json"])
    assert result.exit_code == 0, result.output
    packed = json.loads(result.stdout)
    left_out = {row["name"]: row for row in packed["rejected_list"]}
    related = left_out[f"t{REAL.index(long)}.A"]
    assert related["reason"] == "related"
    assert "held.A" in related["detail"]
    assert len(left_out) < len(REAL) / 2
    splits = {"train": len(REAL) - len(left_out), "validation": 1, "test": 1}
    assert packed["splits"] == splits
    assert not any(part["with_relative"] for part in module.check(open_dataset(out))["compared"])


def test_the_demo_set_has_no_relatives() -> None:
    text = info("demo")
    assert "relatives   none of 5 validation chains have one in train (E ≤ 0.001)" in text
    assert "warning" not in text


def test_large_sets_are_checked_when_asked(leaky: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUICK", 1000)
    assert "not checked, the dataset is large; --leakage does" in info(leaky)
    assert json.loads(info(leaky, "--json"))["leakage"] is None
    assert "validation chains have one in train" in info(leaky, "--leakage")


def test_one_split_has_nothing_to_compare(tmp_path: Path) -> None:
    write_pack(tmp_path / "one.safetensors", [chain("a.A", REAL[0])], [], {})
    assert "nothing to compare" in info(tmp_path / "one.safetensors")
