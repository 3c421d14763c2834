"""The command line as a user runs it: results, exit codes, one-line errors, light imports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import gemmi
import pytest
from biotite.structure.io import load_structure

from minifold_core.data.dataset import DEMO_PATH, open_dataset
from minifold_core.discovery import find_versions
from minifold_core.weights.header import read_header

Minifold = Callable[..., subprocess.CompletedProcess[str]]
HEAVY = ("torch", "numpy", "biotite", "matplotlib")


@pytest.fixture(scope="module")
def run(minifold: Minifold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four steps on the demo set."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    arguments = ["--size", "nano", "--max-steps", 4, "--run-dir", directory]
    done = minifold("train", "v13", *arguments)
    assert done.returncode == 0, done.stderr
    return directory


def test_the_surface_is_what_the_documents_name(minifold: Minifold) -> None:
    text = minifold("--help").stdout
    commands = ("list-models", "show", "train", "sample", "evaluate", "data", "doctor")
    commands += ("migrate", "inspect", "plugins", "plot", "weights", "diagnose")
    commands += ("runs", "slurm", "gates", "judge", "resume", "compare", "report", "ablate")
    assert all(f"  {command} " in text for command in commands)
    assert minifold().returncode == 0
    assert minifold("--version").stdout.startswith("minifold ")


def test_list_models_json_has_the_contract_keys(minifold: Minifold) -> None:
    done = minifold("list-models", "--json")
    rows = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    ids = [row["id"] for row in rows]
    assert sorted(ids) == sorted(find_versions().items)
    line = ["contact", "v8", "v9", "v10", "v11", "v11b", "v12", "v12b", "v13", "v14"]
    assert [name for name in ids if name in line] == line, "in the order of the research line"
    keys = "id summary status parents components parameters trainable_parameters weights published"
    for row in rows:
        assert {*keys.split(), "plugin", "distribution"} <= set(row)
    (v13,) = (row for row in rows if row["id"] == "v13")
    assert v13["parents"] == ["v12b"]
    assert v13["components"]["pair_stack"] == "triangle"
    assert (v13["published"]["epoch"], v13["published"]["val_total"]) == (4, 2.373)


@pytest.mark.parametrize(
    "arguments",
    [
        ["list-models"],
        ["list-models", "--json"],
        ["show", "v13"],
        ["show", "v13", "--resolved", "--size", "nano"],
        ["show", "v12b", "--json"],
        ["compare", "v12b", "v13"],
        ["compare", "v10", "v13", "--json"],
        ["weights", "list"],
        ["--help"],
        ["train", "--help"],
        ["data", "pack", "--help"],
    ],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom minifold_core.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"


def test_show_tells_where_every_value_comes_from(minifold: Minifold) -> None:
    values = json.loads(minifold("show", "v13", "--resolved", "--json").stdout)["values"]
    assert values["training.learning_rate"] == {"value": 2e-5, "origin": "v11b/recipe.toml"}
    assert values["losses.clash.weight"]["origin"] == "v13/recipe.toml"
    text = minifold("show", "v13").stdout
    assert "v12 → v12b → v13" in text
    assert "35,385,717 parameters" in text
    assert "weights: v13:nano of size nano" in text


def test_show_counts_what_a_recipe_file_builds(minifold: Minifold, tmp_path: Path) -> None:
    (tmp_path / "v13.toml").write_text('extends = "v13"\n[denoiser]\nlayers = 2\n')
    shown = json.loads(minifold("show", tmp_path / "v13.toml", "--json").stdout)
    assert shown["parameters"] < 20e6
    text = minifold("show", tmp_path / "v13.toml", "--size", "nano").stdout
    assert "current" not in text


def test_doctor_is_content(minifold: Minifold) -> None:
    findings = json.loads(minifold("doctor", "--json").stdout)
    assert all(finding["ok"] for finding in findings)
    assert {"devices", "demo set", "version v13"} <= {finding["what"] for finding in findings}


@pytest.mark.parametrize("size", ["nano", "full"])
def test_the_shipped_encoder_is_the_default_and_a_random_one_is_told_of(
    minifold: Minifold, tmp_path: Path, size: str
) -> None:
    arguments = ["train", "v13", "--size", size, "--dry-run", "--run-dir", tmp_path / "none"]
    quiet = minifold(*arguments)
    assert f"encoder: weights of contact ({size}, shipped)" in quiet.stderr
    assert "RANDOM" not in quiet.stderr
    loud = minifold(*arguments, "--encoder-from", "random")
    assert "WARNING: the encoder is frozen and its weights are RANDOM" in loud.stderr
    wide = minifold(*arguments, "--set", "encoder.d_pair=16")
    assert "warning: encoder does not start from contact's shipped weights" in wide.stderr
    assert "RANDOM" in wide.stderr
    assert "built-in demo set (18 chains" in loud.stderr
    assert not (tmp_path / "none").exists()


def test_samples_are_read_back_by_biotite_and_gemmi(
    minifold: Minifold, run: Path, tmp_path: Path
) -> None:
    chains = {chain.name: chain for chain in open_dataset().subset("validation")}
    for suffix in ("pdb", "cif"):
        out = tmp_path / suffix
        options = ["--data", "demo", "--steps", 3, "--format", suffix, "--out", out, "--json"]
        done = minifold("sample", run, *options)
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        assert {row["name"] for row in rows} == set(chains)
        for row in rows:
            chain = chains[row["name"]]
            assert load_structure(row["file"]).array_length() == len(chain.sequence)
            structure = gemmi.read_structure(row["file"])
            structure.setup_entities()
            residues = [residue.name for residue in structure[0][0]]
            assert gemmi.one_letter_code(residues) == chain.sequence
    again = minifold("sample", run, *options)
    assert (again.returncode, again.stdout) == (0, done.stdout)  # it goes on where it is finished
    assert "going on: 5 of 5" in again.stderr


def test_v14_writes_whole_backbones(minifold: Minifold, tmp_path: Path) -> None:
    small = ["--size", "nano", "--max-steps", 1, "--run-dir", tmp_path / "run"]
    assert minifold("train", "v14", *small).returncode == 0
    options = ["--sequence", "ACDEFGHIKL", "--steps", 3, "--guidance", 2, "--out", tmp_path / "out"]
    assert minifold("sample", tmp_path / "run", *options).returncode == 0
    residues = gemmi.read_structure(str(tmp_path / "out" / "sequence.pdb"))[0][0]
    assert [[atom.name for atom in residue] for residue in residues] == [
        *[["N", "CA", "C", "O"]] * 9,
        ["N", "CA", "C", "O", "OXT"],
    ]
    lengths = [residue["N"][0].pos.dist(residue["CA"][0].pos) for residue in residues]
    assert lengths == pytest.approx([1.458] * 10, abs=0.1)


def test_seeds_repeat_and_counts_differ(minifold: Minifold, run: Path, tmp_path: Path) -> None:
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        options = ["--sequence", "ACDEFGHIKLMNPQRSTVWY", "--steps", 3, "--count", 2]
        done = minifold("sample", run, *options, "--seed", seed, "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        texts.append([(tmp_path / name / f"sequence-{i}.pdb").read_text()[80:] for i in (1, 2)])
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert texts[0][0] != texts[0][1]


def test_sampling_by_length_and_from_fasta(minifold: Minifold, run: Path, tmp_path: Path) -> None:
    done = minifold("sample", run, "--length", 30, "--steps", 2, "--out", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    assert len(load_structure(tmp_path / "a" / "length30.pdb")) == 30
    fasta = tmp_path / "two.fasta"
    fasta.write_text(">first x\nACDEFGHIKL\n>second/1\nMNPQRSTVWYACD\n")
    options = ["--fasta", fasta, "--steps", 2, "--eta", 0.5, "--guidance", 2]
    done = minifold("sample", run, *options, "--out", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (tmp_path / "b").iterdir()} == {
        "first.pdb",
        "second_1.pdb",
        "samples.csv",
    }


def test_a_sample_does_not_depend_on_what_is_sampled_beside_it(
    minifold: Minifold, run: Path, tmp_path: Path
) -> None:
    fasta = tmp_path / "some.fasta"
    fasta.write_text(">sequence\nACDEFGHIKLMN\n>other\nMNPQRSTVWYACDEFGHIKL\n")
    common = ["--steps", 3, "--count", 2, "--eta", 1]
    minifold("sample", run, "--fasta", fasta, "--out", tmp_path / "a", *common)
    minifold("sample", run, "--sequence", "ACDEFGHIKLMN", "--out", tmp_path / "b", *common)
    for copy in (1, 2):
        one, other = (
            load_structure(tmp_path / folder / f"sequence-{copy}.pdb").coord for folder in "ab"
        )
        assert abs(one - other).max() < 0.01


@pytest.mark.slow
def test_a_random_encoder_stays_random_when_it_is_handed_on(
    minifold: Minifold, tmp_path: Path
) -> None:
    size = ["--size", "nano", "--max-steps", 1, "--run-dir"]
    minifold("train", "v12", "--encoder-from", "random", *size, tmp_path / "first")
    second = ["--encoder-from", tmp_path / "first", *size, tmp_path / "second"]
    assert "RANDOM" in minifold("train", "v12", *second).stderr
    header = read_header(tmp_path / "second" / "last.safetensors")
    digest = sha256((tmp_path / "first" / "best.safetensors").read_bytes()).hexdigest()
    assert (header.encoder, header.parents) == ("random", {"encoder": digest})
    thawed = ["--set", "encoder.frozen=false", "--encoder-from", "random"]
    done = minifold("train", "v12", *thawed, *size, tmp_path / "third")
    assert "RANDOM" not in done.stderr
    assert read_header(tmp_path / "third" / "last.safetensors").encoder == "trained"


def wrong(tmp_path: Path, run: Path) -> list[tuple[list[object], int, str]]:
    """Requests that are wrong, their exit codes and what the error must say."""
    empty = tmp_path / "empty"
    empty.mkdir(exist_ok=True)
    cut = tmp_path / "cut.cif"
    cut.write_text("data_cut\nloop_\n_atom_site.group_PDB\n_atom_site.id\nATOM 1 2\n")
    pack = tmp_path / "bad.safetensors"
    pack.write_bytes(DEMO_PATH.read_bytes()[:5000])
    junk = tmp_path / "junk.safetensors"
    junk.write_bytes(b"junk")
    twice = tmp_path / "twice.fasta"
    twice.write_text(">a one\nACDEF\n>a two\nACDEG\n")
    nano = ["--size", "nano", "--run-dir", tmp_path / "never"]
    out = ["--out", tmp_path / "never"]
    return [
        (["train", "v133", *nano], 2, "unknown version 'v133'; did you mean 'v13'?"),
        (["train", "v13:nano"], 2, "minifold train VERSION --init-from v13:nano begins from it"),
        (["show", "v133"], 2, "did you mean 'v13'?"),
        (["train", "v13", "--size", "nanno"], 2, "did you mean 'nano'?"),
        (
            ["train", "v13", "--with", "denoiser=ip", *nano],
            2,
            "unknown denoiser 'ip'; did you mean",
        ),
        (["train", "v13", "--with", "denoisr=ipa", *nano], 2, "did you mean 'denoiser'?"),
        (["train", "v13", "--set", "training.lr=1", *nano], 2, "unknown key 'training.lr'"),
        (["train", "v13", "--set", "trainin.lr=1", *nano], 2, "did you mean 'training'?"),
        (["train", "v13", "--set", "denoiser.layers=-1", *nano], 2, "denoiser.layers = -1"),
        (["train", "v13", "--data", pack, *nano], 2, str(pack)),
        (["train", "v13", "--data", tmp_path / "gone", *nano], 2, "no such file"),
        (["train", "v13", "--device", "gpu", *nano], 2, "--device gpu"),
        (["train", "v13", "--size", "nano", "--run-dir", run], 3, "is not empty"),
        (["train", "v13", "--max-steps", "0", *nano], 2, "--max-steps"),
        (["train", "v13", "--sise", "nano"], 2, "--size"),
        (["train"], 2, "see minifold train --help"),
        (["trian"], 2, "Did you mean 'train'?"),
        (["train", "v13", "--encoder-from", junk, *nano], 2, str(junk)),
        (
            ["train", "v13", "--encoder-from", "contact:full", *nano],
            3,
            "encoder of full.safetensors (contact, full) does not fit that of v13 (nano): "
            "d_model 128 → 64, d_pair 64 → 32, tower_layers 2 → 1 and 1 more; leave "
            "--encoder-from out, or give weights of contact (nano)",
        ),
        (["train", "v13", "--data", cut, *nano], 2, "a structure file, not a packed dataset"),
        (["data", "pack", empty, *out], 2, str(empty)),
        (["data", "pack", cut, *out], 2, "cut"),
        (["sample", run, *out], 2, "nothing to sample"),
        (["sample", run, "--sequence", "ACD", "--length", "3", *out], 2, "both given"),
        (["sample", run, "--sequence", "AC7", *out], 2, "'7' at position 3"),
        (["sample", run, "--sequence", "ACD", "--eta", "2", *out], 2, "--eta: sampling.eta = 2"),
        (["sample", run, "--fasta", twice, *out], 2, "2 sequences are called 'a'"),
        (["train", "v13", "--set", "training.clip_norms.nope=1", *nano], 2, "no such slot"),
        (["train", "v13", "--seed", "-1", *nano], 2, "--seed"),
        (["list-models", "--uses", "ippa"], 2, "did you mean 'ipa'?"),
        (["list-models", "--uses", "heads.distance"], 2, "one that fills it: binned_distance"),
        (["sample", run, "--sequence", "ACD", "--steps", "2000", *out], 2, "2000"),
        (["sample", run, "--sequence", "ACD", "--format", "pdf", *out], 2, "did you mean 'pdb'?"),
        (["sample", tmp_path / "gone", "--sequence", "ACD", *out], 2, "does not exist"),
        (["sample", junk, "--sequence", "ACD", *out], 2, "is not a weights file"),
        (["sample", DEMO_PATH, "--sequence", "ACD", *out], 2, "holds no weights"),
        (["evaluate", run, "--split", "tset"], 2, "did you mean 'test'?"),
        (["evaluate", run, "--split", "test"], 2, "no test chain"),
    ]


def test_every_wrong_request_gets_one_line_and_its_exit_code(
    minifold: Minifold, run: Path, tmp_path: Path
) -> None:
    for arguments, code, said in wrong(tmp_path, run):
        done = minifold(*arguments)
        error = [line for line in done.stderr.splitlines() if "error:" in line]
        assert (done.returncode, len(error)) == (code, 1), (arguments, done.stderr)
        assert said in error[0], (arguments, error)
        assert done.stderr.splitlines()[-1] == error[0]
        assert done.stdout == ""
    assert not (tmp_path / "never").exists()


def test_debug_shows_the_traceback(minifold: Minifold) -> None:
    assert "Traceback" in minifold("show", "v133", "--debug").stderr
