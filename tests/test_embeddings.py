"""Precomputed embeddings, from a file by chain name to what a model makes of them."""

from __future__ import annotations

import csv
import json
import pickle
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from safetensors.torch import load_file

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.dataset import PackedDataset, open_dataset
from minifold_core.data.embeddings import EmbeddingFile
from minifold_core.diffusion.sampler import run_trunk
from minifold_core.errors import RequestError
from minifold_core.evaluation.shuffled import shuffled
from minifold_core.folding import Target, fold
from minifold_core.model import FoldModel
from minifold_core.testing import perturb
from minifold_core.weights.header import read_header

WIDTH = 12
WITH = ("--with", "encoder=embeddings")
Minifold = Callable[..., CompletedProcess[str]]
Rows = dict[str, NDArray[np.floating]]


def rows_of_demo() -> Rows:
    random = np.random.default_rng(0)
    return {c.name: random.normal(size=(len(c), WIDTH)).astype("f2") for c in open_dataset()}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("embeddings") / "demo.safetensors"
    save_file(rows_of_demo(), path)
    return path


@pytest.fixture(scope="module")
def dataset(file: Path) -> PackedDataset:
    return open_dataset().with_embeddings(EmbeddingFile(file))


@pytest.fixture(scope="module")
def model() -> FoldModel:
    torch.manual_seed(0)
    values = {"encoder.d_embedding": WIDTH}
    made = assemble("v13", "nano", {"encoder": "embeddings"}, values)
    perturb(made)  # a fresh one moves nothing
    return made.eval()


@pytest.fixture(scope="module")
def batch(dataset: PackedDataset) -> ProteinBatch:
    return collate(sorted(dataset, key=len)[:3])


def test_rows_reach_the_batch_lazily_and_by_name(dataset: PackedDataset) -> None:
    again = pickle.loads(pickle.dumps(dataset.subset("validation")))
    chains = [again[2], again[0]]
    batch, rows = collate(chains), rows_of_demo()
    assert batch.embeddings is not None
    assert batch.embeddings.dtype == torch.float32
    for own, chain in zip(batch.embeddings, chains, strict=True):
        np.testing.assert_array_equal(own[: len(chain)], rows[chain.name])
        assert not own[len(chain) :].any()
    window = chains[0].window(3, 9)
    np.testing.assert_array_equal(window.embeddings, rows[window.name][3:9])
    with pytest.raises(RequestError, match="1 of 2 chains have no embeddings"):
        collate([chains[0], replace(chains[1], embeddings=None)])
    assert collate(list(open_dataset())[:2]).embeddings is None


def test_a_chain_is_read_alike_whatever_is_beside_it(model: FoldModel, batch: ProteinBatch) -> None:
    """Through the whole trunk, padding holding junk."""
    assert batch.embeddings is not None
    junk = torch.where(batch.mask[..., None], batch.embeddings, torch.tensor(7.0))
    together = model.trunk(replace(batch, embeddings=junk))
    for row, length in enumerate(batch.mask.sum(1).tolist()):
        alone = model.trunk(
            ProteinBatch(
                batch.tokens[row : row + 1, :length],
                batch.residue_index[row : row + 1, :length],
                batch.backbone[row : row + 1, :length],
                batch.backbone_mask[row : row + 1, :length],
                batch.names[row : row + 1],
                embeddings=batch.embeddings[row : row + 1, :length],
            )
        )
        for name, axes in (("single", 1), ("pair", 2)):
            own = together[name][row][(slice(length),) * axes]
            torch.testing.assert_close(own, alone[name][0], atol=1e-4, rtol=1e-4)


def test_hiding_the_sequence_hides_the_embeddings(model: FoldModel, batch: ProteinBatch) -> None:
    """The branch without condition cannot tell one embedding from another, and masks survive."""
    assert batch.embeddings is not None
    other = replace(batch, embeddings=(batch.embeddings.flip(0) + 1) * batch.mask[..., None])
    given, nothing = run_trunk(model, batch, guidance=2.0)
    changed, still_nothing = run_trunk(model, other, guidance=2.0)
    assert not torch.equal(given["single"], changed["single"])
    for name, value in nothing.items():
        torch.testing.assert_close(value, still_nothing[name], rtol=0, atol=0)
    assert torch.equal(nothing["mask"], batch.mask)
    single = nothing["single"]
    assert not single[~batch.mask].any()
    assert torch.equal(single[batch.mask], single[0, 0].expand_as(single[batch.mask]))
    assert single[0, 0].std() > 0.5
    some = batch.without_condition(torch.tensor([False, True, False])).embeddings
    assert some is not None
    assert torch.equal(some[::2], batch.embeddings[::2])
    assert not some[1].any()


def test_samples_depend_on_embeddings_and_on_nothing_beside(
    model: FoldModel, dataset: PackedDataset
) -> None:
    targets = [Target.of(chain) for chain in sorted(dataset, key=len)[:2]]
    settings = model.recipe.sampling.model_copy(update={"steps": 3})
    both = {done.target.name: done.coords for done in fold(model, targets, settings)}
    (alone,) = fold(model, targets[:1], settings)
    torch.testing.assert_close(both[targets[0].name], alone.coords, atol=1e-2, rtol=1e-3)  # Å
    rows = targets[0].embeddings
    assert rows is not None
    (other,) = fold(model, [replace(targets[0], embeddings=rows[::-1].copy())], settings)
    assert (other.coords - alone.coords).abs().max() > 0.05
    with pytest.raises(RequestError, match="reads precomputed embeddings and its chains have none"):
        list(fold(model, [replace(targets[0], embeddings=None)], settings))


def test_shuffling_takes_rows_along(dataset: PackedDataset) -> None:
    chain = max(dataset, key=len)
    named = replace(chain, embeddings=np.array([[ord(code)] for code in chain.sequence], "f4"))
    mixed = shuffled(named, seed=3)
    assert mixed.embeddings is not None
    assert mixed.sequence == "".join(chr(int(row[0])) for row in mixed.embeddings)
    assert mixed.sequence != chain.sequence
    assert mixed.sequence == shuffled(replace(chain, embeddings=None), seed=3).sequence


def _without(rows: Rows) -> None:
    del rows["2sdf.A"], rows["1adz.A"]


def _with_ends(rows: Rows) -> None:
    rows["2sdf.A"] = np.pad(rows["2sdf.A"], ((1, 1), (0, 0)))


def _short(rows: Rows) -> None:
    rows["2sdf.A"] = rows["2sdf.A"][:-5].copy()


def _two_widths(rows: Rows) -> None:
    rows["2sdf.A"] = rows["2sdf.A"][:, :-1].copy()


def _means(rows: Rows) -> None:
    rows["2sdf.A"] = rows["2sdf.A"].mean(0)


def _infinite(rows: Rows) -> None:
    rows["2sdf.A"][0, 0] = np.inf


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without, "lacks 2 of 18 chains: 2sdf.A, 1adz.A; its keys"),
        (_with_ends, "'2sdf.A' has 69 rows and the chain 67 residues; leave out the rows of start"),
        (_short, "'2sdf.A' has 62 rows and the chain 67 residues$"),
        (_two_widths, "11 wide"),
        (_means, r"'2sdf.A' is F16 \[12\]; embeddings are \[residues, width\] in float16 or"),
        (_infinite, "'2sdf.A' holds numbers that are not finite"),
        (dict.clear, "no tensor; all chains need one width"),
    ],
)
def test_faults_of_the_file_are_named(
    tmp_path: Path, spoil: Callable[[Rows], None], said: str
) -> None:
    rows, path = rows_of_demo(), tmp_path / "spoilt.safetensors"
    spoil(rows)
    save_file(rows, path)
    with pytest.raises(RequestError, match=said) as error:
        open_dataset().with_embeddings(EmbeddingFile(path))
    assert str(path) in str(error.value)


@pytest.fixture(scope="module")
def run(minifold: Minifold, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("embedded") / "run"
    steps = ("--max-steps", 2, "--run-dir", directory)
    done = minifold("train", "v13", *WITH, "--size", "nano", "--embeddings", file, *steps)
    assert done.returncode == 0, done.stderr
    assert f"--data demo --embeddings {file}" in done.stderr
    return directory


@pytest.mark.slow
def test_a_run_records_its_embeddings_and_goes_on_to_the_same_bits(
    minifold: Minifold, run: Path, file: Path, tmp_path: Path
) -> None:
    known = json.loads((run / "environment.json").read_text())
    digest = sha256(file.read_bytes()).hexdigest()
    assert (known["embeddings"], known["embeddings_sha256"]) == (str(file), digest)
    encoder = read_header(run / "last.safetensors").recipe["encoder"]
    assert encoder == {"component": "embeddings", "d_embedding": WIDTH, "d_model": 64}

    unbroken = tmp_path / "unbroken"
    recipe = run / "recipe.toml"
    asked = ("--embeddings", file, "--max-steps", 4)
    done = minifold("train", recipe, "--size", "nano", *asked, "--run-dir", unbroken)
    assert done.returncode == 0, done.stderr
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(file.read_bytes())
    done = minifold("resume", run, "--embeddings", moved, "--max-steps", 4)
    assert done.returncode == 0, done.stderr
    resumed = load_file(run / "last.safetensors")
    for name, tensor in load_file(unbroken / "last.safetensors").items():
        assert torch.equal(tensor, resumed[name]), name

    save_file({name: rows + 1 for name, rows in rows_of_demo().items()}, moved)
    done = minifold("resume", run, "--max-steps", 5)
    assert done.returncode == 3
    assert "are not the embeddings that" in done.stderr


@pytest.mark.slow
def test_a_run_is_sampled_and_evaluated(
    minifold: Minifold, run: Path, file: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.fasta").write_text(f">2sdf.A\n{'A' * 67}\n>mine\nMQIF\n")
    few = ("--steps", 2, "--out")
    done = minifold(
        "sample", run, "--fasta", tmp_path / "one.fasta", "--embeddings", file, *few, tmp_path / "a"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "lacks 1 of 2 chains: mine" in done.stderr
    own = sha256(file.read_bytes()).hexdigest()
    for source in (("--data", "demo", "--embeddings", file, "--guidance", 2), ("--length", 30)):
        out = tmp_path / str(source[1])
        done = minifold("sample", run, *source, *few, out)
        assert done.returncode == 0, done.stderr
        assert list(out.glob("*.pdb"))
        with (out / "samples.csv").open(newline="") as table:
            (known,) = {row["embeddings"] for row in csv.DictReader(table)}
        assert known == (own if file in source else "")
    again = ("sample", run, "--data", "demo", "--guidance", 2, *few, tmp_path / "demo")
    assert "going on: " in minifold(*again, "--embeddings", file).stderr
    other = tmp_path / "other.safetensors"
    save_file({name: rows + 1 for name, rows in rows_of_demo().items()}, other)
    done = minifold(*again, "--embeddings", other)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"has embeddings {own}, not {sha256(other.read_bytes()).hexdigest()}" in done.stderr
    done = minifold("evaluate", run, "--embeddings", file, "--steps", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert "rows of their embeddings" in done.stderr
    assert any("shuffled" in row["name"] for row in json.loads(done.stdout)["rows"])


def test_a_run_that_cannot_go_on_is_told_how_to_begin_again_with_its_embeddings(
    minifold: Minifold, run: Path, file: Path, tmp_path: Path
) -> None:
    lost = tmp_path / "lost run"
    shutil.copytree(run, lost, ignore=shutil.ignore_patterns("state.safetensors"))
    done = minifold("resume", lost)
    assert done.returncode == 2
    words = shlex.split(done.stderr.partition("minifold train ")[2])
    weights = ["--init-from", str(lost / "last.safetensors")]
    assert words == [str(lost / "recipe.toml"), "--embeddings", str(file), *weights]
    done = minifold("train", *words, "--dry-run")
    assert done.returncode == 0, done.stderr


def test_what_does_not_fit_is_refused(
    minifold: Minifold, run: Path, file: Path, tmp_path: Path
) -> None:
    wide, junk, holes = (tmp_path / f"{name}.safetensors" for name in ("wide", "junk", "holes"))
    save_file({name: np.zeros((len(r), 7), "f4") for name, r in rows_of_demo().items()}, wide)
    rows = rows_of_demo()
    rows["2sdf.A"][3, 3] = np.nan
    save_file(rows, holes)
    junk.write_text("no tensors at all, but a text that is long enough")
    nano = ("--size", "nano", "--dry-run")
    sampled = ("sample", run, "--length", 30, "--out", tmp_path / "out")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("train", "v13", *nano, "--embeddings", file), "nothing in v13 reads embeddings"),
        (("train", "v13", *nano, *WITH), "encoder 'embeddings' reads precomputed embeddings; give"),
        (("train", "v13", *nano, *WITH, "--embeddings", junk), "is not a safetensors file"),
        (("train", "v13", *nano, *WITH, "--embeddings", holes), "'2sdf.A' holds numbers that are"),
        (
            ("train", "v13", *nano, *WITH, "--embeddings", tmp_path / "none"),
            f"error: {tmp_path / 'none'} cannot be read: No such file",
        ),
        (
            ("train", run / "recipe.toml", "--dry-run", "--embeddings", wide),
            "encoder.d_embedding = 12, but the embeddings of",
        ),
        (("evaluate", run, "--embeddings", wide), "are 7 wide, and v13 was trained on 12 wide"),
        (("evaluate", run), "encoder 'embeddings' reads precomputed embeddings; give them with"),
        ((*sampled, "--embeddings", file), "leave --embeddings out"),
    ]
    for arguments, said in cases:
        done = minifold(*arguments)
        assert (done.returncode, done.stdout) == (2, ""), arguments
        assert said in " ".join(done.stderr.split())
        assert "Traceback" not in done.stderr
