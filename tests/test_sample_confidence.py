"""``minifold sample`` with a confidence head: B-factors, the table, and the best of several."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import gemmi
import pytest
import torch

from minifold_core.choosing import choose_best
from minifold_core.errors import MinifoldError
from minifold_core.folding import Fold, Target
from weights_files import perturbed, save

Minifold = Callable[..., subprocess.CompletedProcess[str]]
SEQUENCE = "MQIFVKTLTGKTITLEVEPSD"
SMALL = {
    "encoder.tower_layers": 1,
    "pair_stack.blocks": 1,
    "denoiser.layers": 1,
    "denoiser.d_model": 32,
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return save(folder / "v15.safetensors", perturbed("v15", **SMALL))


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def b_factors(path: Path) -> list[float]:
    """One for each residue, whose atoms share it."""
    (chain,) = gemmi.read_structure(str(path))[0]
    each = [{atom.b_iso for atom in residue} for residue in chain]
    assert [len(own) for own in each] == [1] * len(SEQUENCE)
    assert len(chain[0]) == 4
    return [b for own in each for b in own]


def header(text: str) -> str:
    """What a file says before its atoms, as one line."""
    return " ".join(text.split("\nATOM")[0].replace("REMARK   6", "").split())


def test_without_a_sequence_there_is_nothing_to_be_sure_of(
    minifold: Minifold, weights: Path, tmp_path: Path
) -> None:
    done = minifold("sample", weights, "--length", 20, "--steps", 2, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "pLDDT" not in done.stdout
    assert [row["plddt"] for row in rows(tmp_path / "out")] == [""]
    assert "B-FACTORS ARE 0" in next((tmp_path / "out").glob("*.pdb")).read_text().upper()
    for without in (("--length", 20), ("--sequence", SEQUENCE, "--guidance", 0)):
        call = ("sample", weights, *without, "--best-of", 2, "--out", tmp_path / "none")
        done = minifold(*call)
        assert (done.returncode, "nothing to be sure of" in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("suffix", ["pdb", "cif"])
def test_files_say_how_sure_the_model_is_of_each_residue(
    minifold: Minifold, weights: Path, tmp_path: Path, suffix: str
) -> None:
    call = ["--sequence", SEQUENCE, "--steps", 2, "--format", suffix, "--out", tmp_path / "out"]
    done = minifold("sample", weights, *call, "--trajectory")
    assert done.returncode == 0, done.stderr
    path = tmp_path / "out" / f"sequence.{suffix}"
    found = b_factors(path)
    assert 0 < min(found) < max(found) < 100
    (row,) = rows(tmp_path / "out")
    assert f"\nmean pLDDT {float(row['plddt']):.1f} of 100 (" in done.stdout
    assert float(row["plddt"]) == pytest.approx(sum(found) / len(found), abs=0.01)
    assert (row["best_of"], row["draw"], row["plddt_drawn"]) == ("1", "1", "")
    text = path.read_text().upper()
    said, digest = header(text), row["weights"][:12].upper()
    origin = f"FROM V15, WEIGHTS {digest}: SEED 0, DRAW 1, STEPS 2"
    assert ("MODEL EXPECTS" in said, origin in said) == (True, True)
    assert "B-FACTORS ARE 0" not in text
    steps = header(path.with_name(f"sequence.x0.{suffix}").read_text().upper())
    assert ("B-FACTORS ARE 0" in steps, origin in steps) == (True, True)


def test_the_best_of_several_is_the_surest_of_the_same_copies(
    minifold: Minifold, weights: Path, tmp_path: Path
) -> None:
    call = ["sample", weights, "--sequence", SEQUENCE, "--steps", 2, "--at-once", 4]
    plain, best = tmp_path / "plain", tmp_path / "best"
    assert minifold(*call, "--count", 6, "--out", plain).returncode == 0
    first = minifold(*call, "--count", 2, "--best-of", 3, "--out", best, "--json")
    assert first.returncode == 0, first.stderr
    scores = [float(row["plddt"]) for row in rows(plain)]
    assert len(set(scores)) == 6
    assert {path.name for path in best.iterdir()} == {
        "samples.csv",
        "sequence-1.pdb",
        "sequence-2.pdb",
    }
    for copy, row in enumerate(rows(best), start=1):
        text = header((best / f"sequence-{copy}.pdb").read_text())
        assert f"DRAW {row['draw']}, THE BEST OF 3, " in text
        own = scores[3 * copy - 3 : 3 * copy]
        draw = 3 * copy - 2 + own.index(max(own))
        assert (row["copy"], row["best_of"], row["draw"]) == (str(copy), "3", str(draw))
        assert [float(each) for each in row["plddt_drawn"].split()] == pytest.approx(own, abs=0.02)
        assert float(row["plddt"]) == pytest.approx(max(own), abs=0.02)
        kept, alone = (
            gemmi.read_structure(str(path))[0][0]
            for path in (best / f"sequence-{copy}.pdb", plain / f"sequence-{draw}.pdb")
        )
        for residue, other in zip(kept, alone, strict=True):
            assert residue["CA"][0].pos.dist(other["CA"][0].pos) < 0.02
    first_scores = [row["plddt"] for row in json.loads(first.stdout)]
    again = minifold(*call, "--count", 2, "--best-of", 3, "--out", best, "--json")
    assert json.loads(again.stdout) == json.loads(first.stdout)
    (best / "sequence-2.pdb").unlink()
    (line,) = (line for line in (best / "samples.csv").read_text().splitlines() if "-2.pdb" in line)
    table = (best / "samples.csv").read_text()
    (best / "samples.csv").write_text(table.replace(f"{line}\n", ""))
    going = minifold(*call, "--count", 2, "--best-of", 3, "--out", best)
    assert going.stderr.splitlines()[0] == f"going on: 1 of 2 structures are in {best} already"
    kept, chosen = going.stdout.splitlines()[1:]
    low, high = sorted(first_scores)
    assert kept.startswith(f"mean pLDDT {low:.1f} to {high:.1f} of 100 (")
    assert chosen == f"chosen among 6 draws, whose mean is {sum(scores) / 6:.1f}"
    assert [row["draw"] for row in rows(best)] == [str(r["draw"]) for r in json.loads(first.stdout)]
    refused = minifold(*call, "--count", 2, "--best-of", 2, "--out", best)
    assert (refused.returncode, "has best_of 3, not 2" in refused.stderr) == (3, True)


def test_nothing_is_chosen_without_a_confidence(minifold: Minifold, tmp_path: Path) -> None:
    plain, out = save(tmp_path / "v13.safetensors", perturbed("v13")), tmp_path / "out"
    done = minifold("sample", plain, "--sequence", SEQUENCE, "--best-of", 2, "--out", out)
    assert (done.returncode, done.stdout, out.exists()) == (2, "", False)
    (error,) = done.stderr.splitlines()
    assert "--best-of: v13 has no confidence head" in error
    done = minifold("sample", plain, "--sequence", SEQUENCE, "--steps", 1, "--out", out, "--json")
    (row,) = json.loads(done.stdout)
    assert (row["plddt"], row["best_of"], row["draw"]) == (None, 1, 1)


def test_of_many_draws_only_the_best_so_far_are_held() -> None:
    """Draws of two targets, interleaved and out of order; equal ones, and one that is no number."""
    a, b = Target("a", "ACD"), Target("b", "ACD")
    scores = {
        ("a", 1): 0.5, ("a", 2): float("nan"), ("a", 3): 0.5,
        ("a", 4): 0.1, ("a", 5): 0.2, ("a", 6): 0.3,
        ("b", 1): float("nan"), ("b", 2): 0.9, ("b", 3): 0.8,
    }  # fmt: skip
    order = [("a", 3), ("b", 1), ("a", 1), ("a", 4), ("b", 2), ("a", 2), ("a", 6), ("b", 3)]
    taken = []

    def draws() -> Iterator[Fold]:
        for name, number in [*order, ("a", 5)]:
            taken.append((name, number))
            plddt = torch.full((3,), scores[name, number])
            target = a if name == "a" else b
            yield Fold(target, number, torch.zeros(3, 3), plddt=plddt, seconds=2.0)

    chosen = []
    for best in choose_best(draws(), 3):
        chosen.append((best.target.name, best.copy, len(taken)))
        assert best.seconds == 6
        assert len(best.drawn) == 3
    assert chosen == [("a", 1, 6), ("b", 2, 8), ("a", 6, 9)]
    (surest,) = choose_best([Fold(b, n, torch.zeros(3, 3), plddt=torch.full((3,), n / 8))
                             for n in (2, 1)], 2)  # fmt: skip
    assert surest.drawn == (0.125, 0.25)
    with pytest.raises(MinifoldError, match="no confidence"):
        list(choose_best([replace(surest, plddt=None)], 2))
