"""Training, evaluating and packing as a user does, and what stays as it is without being named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from biotite.structure import filter_amino_acids
from biotite.structure.io import load_structure, save_structure
from safetensors.torch import load_file

from conftest import Result
from minifold_core.data.dataset import open_dataset
from minifold_core.discovery import version_package
from minifold_core.evaluation.figures import judge_figures
from minifold_core.residues import BACKBONE_ATOMS, ONE_TO_THREE, SIDECHAIN_ATOMS
from minifold_core.structures import write_structure
from minifold_core.weights.io import load_model
from minifold_core.weights.shipped import shipped_weights

Minifold = Callable[..., Result]
TERMS = ("rotamer", "chi", "sidechain_clash")


@pytest.fixture(scope="module")
def run(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("runs") / "packer"
    done = minifold("train", "packer", "--size", "nano", "--max-steps", 6, "--run-dir", where)
    assert done.returncode == 0, done.stderr
    return where


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A structure with nothing but its backbone, in two chains with odd numbers."""
    where = tmp_path_factory.mktemp("structures")
    chain = min(open_dataset(), key=len)
    write_structure(where / "one.pdb", chain.backbone, chain.sequence, atoms=BACKBONE_ATOMS)
    atoms = load_structure(where / "one.pdb")
    second = atoms.copy()
    second.chain_id[:] = "B"
    second.res_id += 500
    second.coord += 40
    save_structure(where / "two.cif", atoms + second)
    return where / "two.cif"


def test_a_packer_trains_and_is_judged_beside_its_floor(minifold: Minifold, run: Path) -> None:
    done = minifold("evaluate", run, "--json")
    assert done.returncode == 0, done.stderr
    figures = {row["name"]: row for row in json.loads(done.stdout)["figures"]}
    assert figures["rotamer_recovery"]["floor"] == pytest.approx(0.4, abs=0.15)
    assert figures["chi1_mae_radians"]["n"] == 5
    assert set(figures) >= {f"chi{k}_mae_radians" for k in (1, 2, 3, 4)}


@pytest.mark.parametrize("suffix", ["pdb", "cif", "bcif"])
def test_packing_keeps_the_backbone_and_adds_every_heavy_atom(
    minifold: Minifold, run: Path, bare: Path, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"packed.{suffix}"
    done = minifold("sidechain", "pack", bare, "--out", out, "--weights", run)
    assert done.returncode == 0, done.stderr
    assert b"minifold-sidechain" in out.read_bytes().lower()
    given, packed = load_structure(bare), load_structure(out, extra_fields=["b_factor"])
    kept = packed[np.isin(packed.atom_name, (*BACKBONE_ATOMS, "OXT"))]
    assert np.allclose(kept.coord, given.coord, atol=6e-4)  # files have three digits
    assert np.array_equal(kept.res_id, given.res_id)
    assert np.array_equal(kept.chain_id, given.chain_id)
    assert filter_amino_acids(packed).all()
    expected = {
        ONE_TO_THREE[one]: {*BACKBONE_ATOMS, *atoms} for one, atoms in SIDECHAIN_ATOMS.items()
    }
    for chain, number in {*zip(packed.chain_id.tolist(), packed.res_id.tolist(), strict=True)}:
        own = packed[(packed.chain_id == chain) & (packed.res_id == number)]
        assert set(own.atom_name.tolist()) - {"OXT"} == expected[own.res_name[0]]
    side = ~np.isin(packed.atom_name, (*BACKBONE_ATOMS, "OXT"))
    assert packed.b_factor[side].min() > 0
    first, second = (packed[side & (packed.chain_id == chain)] for chain in "AB")
    assert np.allclose(first.coord + 40, second.coord, atol=5e-3)


def test_shipped_weights_pack_better_than_the_most_frequent_rotamers() -> None:
    """On the chains of the demo set; what the README claims is measured on the held-out ones."""
    weights = next(iter(shipped_weights(version_package("packer")).values()))
    model, _ = load_model(weights)
    figures = {row.name: row for row in judge_figures(model, list(open_dataset())).rows}
    recovery, error = figures["rotamer_recovery"], figures["chi1_mae_radians"]
    assert recovery.gain
    assert error.gain
    assert (recovery.gain.sign, error.gain.sign) == (1, -1)


def test_packing_needs_no_weights_of_one_s_own(
    minifold: Minifold, bare: Path, tmp_path: Path
) -> None:
    done = minifold("sidechain", "pack", bare, "--out", tmp_path / "a.pdb")
    assert done.returncode == 0, done.stderr
    assert "shipped" in done.stdout


def test_refusals_are_one_line(minifold: Minifold, bare: Path, tmp_path: Path) -> None:
    other = tmp_path / "contact"
    assert minifold("train", "contact", "--size", "nano", "--max-steps", 1, "--run-dir", other)
    out = tmp_path / "a.pdb"
    for words, arguments in {
        "'.xyz'": (bare, "--out", tmp_path / "a.xyz"),
        "nowhere.pdb: no such file": (tmp_path / "nowhere.pdb", "--out", out),
        "is no packer": (bare, "--out", out, "--weights", other),
        "does not exist": (bare, "--out", out, "--weights", tmp_path / "none"),
        "--device foo: choose auto, cpu": (bare, "--out", out, "--device", "foo"),
    }.items():
        done = minifold("sidechain", "pack", *arguments)
        assert done.returncode == 2, (words, done.stderr)
        assert words in done.stderr
        assert done.stderr.count("\n") == 1
        assert not out.exists()


def test_an_existing_file_is_not_replaced(minifold: Minifold, bare: Path) -> None:
    before = bare.read_bytes()
    done = minifold("sidechain", "pack", bare, "--out", bare)
    assert done.returncode == 3, done.stderr
    assert f"{bare} exists; choose another --out" in done.stderr
    assert bare.read_bytes() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_a_device_that_is_not_there_is_refused(
    minifold: Minifold, bare: Path, tmp_path: Path
) -> None:
    done = minifold("sidechain", "pack", bare, "--out", tmp_path / "a.pdb", "--device", "cuda")
    assert done.returncode == 2, done.stderr
    assert "--device cuda: this machine has none; use --device auto" in done.stderr


def test_the_head_learns_inside_v14_and_moves_nothing_else(
    minifold: Minifold, tmp_path: Path
) -> None:
    """The first step's other losses are those of v14 alone, and the head's weights change."""
    start = tmp_path / "v14"
    done = minifold("train", "v14", "--size", "nano", "--max-steps", 1, "--run-dir", start)
    assert done.returncode == 0, done.stderr
    named = ["--with", "heads.sidechain=sidechain"]
    named += [x for term in TERMS for x in ("--set", f"losses.{term}.weight=0.1")]
    rows = []
    for name, extra in (("plain", []), ("named", named)):
        done = minifold(
            "train", "v14", "--size", "nano", "--max-steps", 1, "--run-dir", tmp_path / name,
            "--init-from", start / "best.safetensors", *extra,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with (tmp_path / name / "metrics.csv").open() as file:
            rows.append(next(csv.DictReader(file)))
    plain, named_row = rows
    for column, value in plain.items():
        if column.startswith("train/") and "total" not in column:
            assert named_row[column] == value, column
    assert float(named_row["update/heads.sidechain"]) > 0
    assert all(float(named_row[f"train/{term}"]) > 0 for term in TERMS)


def test_installed_but_not_named_it_changes_no_bit(minifold: Minifold, tmp_path: Path) -> None:
    for name, switch in (("with", []), ("without", ["--no-plugins"])):
        done = minifold(
            *switch, "train", "v14", "--size", "nano", "--max-steps", 2,
            "--run-dir", tmp_path / name,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    first, second = (load_file(tmp_path / n / "last.safetensors") for n in ("with", "without"))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
