"""The commands of ``minifold data``."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_structures import make_chain, pdb_text
from typer.testing import CliRunner, Result

from minifold_core.cli import data as commands
from minifold_core.data.dataset import DEMO_PATH, PackedDataset
from minifold_core.data.limits import Limits
from minifold_core.data.packing import VALIDATION, NothingToPack, pack
from minifold_core.errors import ProtectedError, RequestError


def run(*arguments: object) -> Result:
    return CliRunner().invoke(commands.app, list(map(str, arguments)))


def test_pack_then_info(structures: Path, tmp_path: Path) -> None:
    (structures / "peptide.mmtf").write_text("")
    out = tmp_path / "all.safetensors"
    result = run("pack", structures, "--out", out, "--workers", 1, "--list-rejected")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"packed 5 chains into {out} (")
    assert "left out: 1 unsupported_format" in result.stdout
    assert "peptide.mmtf: unsupported_format: MMTF is retired" in result.stdout
    assert result.stderr.startswith("split by hash of the entry name, validation fraction 0.1")

    text = run("info", out, "--list-rejected").stdout
    for part in (
        "5 chains, 160 residues",
        "25-49",
        "left out    1 unsupported_format",
        "mmtf: uns",
    ):
        assert part in text


def test_json_alone_is_on_stdout(structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.safetensors"
    packed = json.loads(run("pack", structures, "--out", out, "--workers", 1, "--json").stdout)
    assert packed["chains"] == sum(packed["splits"].values()) == 5
    assert packed["rejected_list"] == []
    info = json.loads(run("info", out, "--json").stdout)
    assert info["lengths"]["histogram"] == {"25-49": 5}
    assert info["chains_with_sidechains"] == 4  # one of the five is of glycine and has none
    assert info["cath_classes"] == {"without label": 5}
    assert info["sources"] == ["entries"]


def test_files_of_one_name_are_told_apart_by_their_directories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As programs write that predict each target into a directory of its own."""
    monkeypatch.chdir(tmp_path)
    two = [*make_chain(30), *make_chain(30, chain="B", residue="LEU")]
    for name, atoms in {
        "tt/t1/ranked_0.pdb": two,
        "tt/t2/ranked_0.pdb": make_chain(31, residue="GLY"),
        "tt/t3/ranked_0.pdb": make_chain(30),
        "tt/t3/ranked_1.pdb": make_chain(32, residue="SER"),
        "other/t3/ranked_1.pdb": make_chain(33, residue="VAL"),
        "tt/single.pdb": make_chain(34, residue="PHE"),
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(pdb_text(atoms))
    result = run("pack", "tt", "other", "--out", "all.safetensors", "--list-rejected")
    assert result.exit_code == 0
    assert (
        "ranked_0.A: duplicate_name: in tt/t3/ranked_0.pdb; kept the one in tt/t1/ranked_0.pdb"
    ) in result.stdout
    assert "5 chains are named by their directories too" in result.stderr
    packed = PackedDataset.open(Path("all.safetensors"))
    assert dict(zip(packed.names, packed.lengths.tolist(), strict=True)) == {
        "single.A": 34,
        "t1_ranked_0.A": 30,
        "t1_ranked_0.B": 30,
        "t2_ranked_0.A": 31,
        "tt_t3_ranked_1.A": 32,
        "other_t3_ranked_1.A": 33,
    }

    # A splits file may know them by either name.
    Path("tt.tsv").write_text("name\tsplit\nranked_0\ttrain\nt2_ranked_0.A\tvalidation\n")
    result = run("pack", "tt", "--out", "split.safetensors", "--json")
    assert json.loads(result.stdout)["splits"] == {"train": 2, "validation": 1, "test": 0}


def test_cropping_is_told(structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.safetensors"
    options = ("--max-length", 32, "--crop", "--workers", 1, "--out", out)
    assert (
        "2 chains were cropped to at most 32 residues: a fragment is not"
        in run("pack", structures, *options).stderr
    )
    assert "cropped     2 chains" in run("info", out).stdout


def test_errors_carry_their_exit_codes(structures: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.safetensors"
    (structures / "old.mmtf").write_text("")
    failing = ("pack", structures / "old.mmtf", "--out", out, "--workers", 1, "--list-rejected")
    result = run(*failing)
    assert isinstance(result.exception, NothingToPack)
    assert "old.mmtf: unsupported_format" in result.stdout
    assert isinstance(run("info", out).exception, RequestError)
    out.write_text("")
    assert isinstance(run("pack", structures, "--out", out).exception, ProtectedError)


def test_the_demo_set_in_words() -> None:
    text = run("info", "demo").stdout
    assert text.startswith(f"{DEMO_PATH}: 18 chains")
    assert "13 train, 5 validation, 0 test" in text


def test_options_default_to_what_the_library_does() -> None:
    options = inspect.signature(commands.pack).parameters
    limits = Limits()
    assert options["min_length"].default == limits.min_length
    assert options["max_length"].default == limits.max_length
    assert options["validation"].default == VALIDATION
    assert inspect.signature(pack).parameters["validation"].default == VALIDATION


@pytest.mark.parametrize("module", ["minifold_core.cli.data", "minifold_core.data"])
def test_importing_the_commands_is_light(module: str) -> None:
    heavy = "numpy torch biotite pooch requests safetensors rich.progress"
    code = f"import sys, {module}; print(*[m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
