import csv
import json
from contextlib import nullcontext
from dataclasses import replace

import biotite.structure as struc
import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import jensenshannon, squareform

from minifold_core.data.dataset import open_dataset
from minifold_core.errors import RequestError
from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    histogram,
    jensen_shannon,
    pseudo_angles,
    ramachandran_angles,
)
from minifold_core.evaluation.generation.diversity import clusters
from minifold_core.evaluation.generation.figures import ABOVE, BELOW, TOO_FEW, WITHIN
from minifold_core.evaluation.generation.gapless import gapless_tm
from minifold_core.evaluation.generation.judge import judge_generation
from minifold_core.evaluation.generation.matching import add_windows, make_draws
from minifold_core.evaluation.generation.novelty import Library
from minifold_core.evaluation.generation.shape import shape
from minifold_core.evaluation.generation.size import SizeLaw
from minifold_core.evaluation.generation.traces import Trace, natural_traces, read_samples
from minifold_core.evaluation.metrics import tm_score
from minifold_core.structures import write_structure

LENGTH = 30


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def no_progress(what: str, total: int):
    return nullcontext(lambda steps, words="": None)


def trace(ca, source: str = "x") -> Trace:
    backbone = torch.zeros(len(ca), 4, 3, dtype=torch.float64)
    backbone[:, 1] = torch.as_tensor(np.asarray(ca), dtype=torch.float64)
    mask = torch.zeros(len(ca), 4, dtype=torch.bool)
    mask[:, 1] = True
    return Trace(f"{source}.A", source, backbone, mask)


def helix(length: int = LENGTH, hand: int = 1) -> np.ndarray:
    turn = hand * np.deg2rad(100) * np.arange(length)
    return np.stack([2.3 * np.cos(turn), 2.3 * np.sin(turn), 1.5 * np.arange(length)], -1)


def coil(generator: np.random.Generator) -> np.ndarray:
    steps = generator.normal(size=(LENGTH, 3))
    return np.cumsum(3.8 * steps / np.linalg.norm(steps, axis=-1, keepdims=True), 0)


@pytest.fixture(scope="module")
def windows():
    """Pieces of real chains, of 28 to 30 residues, each taken for a chain of its own entry."""
    chains = [
        chain.window(start, start + LENGTH)
        for chain in open_dataset()
        for start in range(0, len(chain) - LENGTH + 1, LENGTH)
    ]
    return [
        replace(c.window(0, 28 + i % 2 + i % 5 % 2), name=f"w{i}.A") for i, c in enumerate(chains)
    ]


@pytest.fixture(scope="module")
def natural(windows):
    return [chain for i, chain in enumerate(windows) if i % 3]


@pytest.fixture(scope="module")
def held_back(windows):
    return [Trace.of(chain, f"file{i}") for i, chain in enumerate(windows) if i % 3 == 0]


def verdicts(samples, natural) -> dict[str, str]:
    report = judge_generation(samples, natural, [], no_progress)
    return {figure.name: figure.verdict for figure in report.figures}


def test_divergence_is_that_of_scipy_and_0_of_a_histogram_from_itself() -> None:
    p, q = rng().poisson(1.0, (2, 18, 36)).astype(float)
    assert jensen_shannon(p, q) == pytest.approx(jensenshannon(p.ravel(), q.ravel(), 2) ** 2)
    assert jensen_shannon(p, 3 * p) == pytest.approx(0)
    assert jensen_shannon(np.eye(4), 1 - np.eye(4)) == pytest.approx(1)
    assert np.isnan(jensen_shannon(p, np.zeros_like(p)))


def test_angles_of_an_ideal_helix_and_of_its_mirror_image() -> None:
    for hand in (1, -1):
        angles = np.rad2deg(pseudo_angles(torch.tensor(helix(hand=hand))).numpy())
        assert angles == pytest.approx(np.tile([91.2, hand * 49.7], (LENGTH - 3, 1)), abs=1)
    counts = histogram(pseudo_angles(torch.tensor(helix())), PSEUDO_SPANS)
    assert counts.shape == (18, 36)
    assert counts.sum() == LENGTH - 3


def test_dihedrals_of_a_backbone_are_those_of_biotite(windows) -> None:
    chain = windows[0]
    atoms = struc.array(
        [
            struc.Atom(xyz, atom_name=name, element=name[0], res_id=i, res_name="ALA")
            for i, residue in enumerate(chain.backbone)
            for xyz, name in zip(residue[:3], ("N", "CA", "C"), strict=True)
        ]
    )
    phi, psi, _ = struc.dihedral_backbone(atoms)
    ours = ramachandran_angles(*_backbone(chain)).numpy()
    assert ours[1:-1] == pytest.approx(np.stack([phi, psi], -1)[1:-1], abs=1e-4)
    assert np.isnan(ours[0]).any()
    assert np.isnan(ours[-1]).any()


def _backbone(chain):
    one = Trace.of(chain, "x")
    return one.backbone, one.mask


def test_shape_of_chains_that_can_be_told_by_hand() -> None:
    right, left = (shape(torch.tensor(helix(hand=hand))) for hand in (1, -1))
    assert right["helix"] > 0.9
    assert right["left_handed"] == 0
    assert left["left_handed"] == 1
    straight = torch.zeros(20, 3, dtype=torch.float64)
    straight[:, 0] = 3.8 * torch.arange(20)
    straight[10:, 0] += 1  # one bond of 4.8 Å
    found = shape(straight)
    assert found["bonds"] == pytest.approx(18 / 19)
    assert found["contact_order"] == 0
    folded = torch.cat([straight[:10], straight[:10].flip(0) + torch.tensor([0.0, 3.0, 0.0])])
    # Residue i lies 3 Å beside 19 - i, 4.84 Å beside the neighbours of that: only the first clash,
    # but for the pair in the turn, which is bonded.
    assert shape(folded)["clashes"] == 9


def test_the_law_of_size_is_found_again_in_spite_of_rods() -> None:
    lengths = np.arange(30, 130)
    rg = 2.2 * lengths**0.38 * np.exp(0.05 * rng().normal(size=100))
    rg[::8] = 1.5 * lengths[::8] / 12**0.5  # single helices
    law = SizeLaw.fit(lengths, rg)
    assert law.exponent == pytest.approx(0.38, abs=0.05)
    assert law.expected(100) == pytest.approx(2.2 * 100**0.38, rel=0.02)
    assert law.residuals([100], law.expected([100]) * np.exp(law.spread)) == pytest.approx([1])
    assert SizeLaw.fit([30, 30, 40], [1, 1, 2]) is None


def test_a_piece_of_a_chain_is_found_inside_it_whatever_the_order(windows) -> None:
    chain = Trace.of(next(c for c in open_dataset() if len(c) > 80), "x").ca
    piece = chain[17:60] @ torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]).double() + 5
    assert gapless_tm([(piece, chain), (chain, piece)]) == pytest.approx(1, abs=1e-6)
    one, other = (Trace.of(chain, "x").ca[:28] for chain in windows[:2])
    assert gapless_tm([(one, other)]) == pytest.approx(tm_score(one[None], other[None]).numpy())


def test_clusters_are_those_of_single_linkage() -> None:
    upper = np.triu(rng().uniform(0.2, 0.6, (30, 30)), 1)
    matrix = upper + upper.T + np.eye(30)
    tree = linkage(squareform(1 - matrix, checks=False), "single")
    expected = fcluster(tree, 0.5, "distance")
    found = clusters(matrix)
    assert len(set(found)) == len(set(expected)) == len(set(zip(found, expected, strict=True)))


def test_partners_have_the_length_and_are_never_used_twice(windows) -> None:
    pool = natural_traces(open_dataset())
    lengths = [40, 40, 60, 75, 75, 100, 500]
    both = [*pool, *add_windows(lengths, pool, rng())]
    have = np.array([len(each) for each in both])
    for draw in make_draws(lengths, both, rng()):
        partners = np.concatenate([draw.first, draw.second])
        entries = [both[row].source for row in partners]
        assert len(set(entries)) == len(entries)
        wanted = np.tile(np.array(lengths)[draw.samples], 2)
        assert (np.abs(have[partners] - wanted) <= 0.1 * wanted).all()
        assert 6 not in draw.samples
    assert add_windows([LENGTH], natural_traces(windows), rng()) == []
    assert {len(window) for window in add_windows([25], pool, rng())} == {25}
    assert make_draws([500], pool, rng()) == []


def test_a_copy_is_found_by_name_and_a_natural_chain_never_finds_its_own_entry(windows) -> None:
    library = Library([Trace.of(chain, chain.entry) for chain in windows])
    noise = 0.1 * torch.randn(len(library.chains[7]), 3, generator=torch.Generator().manual_seed(0))
    found = library.nearest(trace(library.chains[7].ca + noise, "file"))
    assert found.name == "w7.A"
    assert found.tm > 0.9
    assert library.nearest(library.chains[7]).name != "w7.A"
    assert library.nearest(trace(helix(60))) == (None, pytest.approx(float("nan"), nan_ok=True))


def test_natural_chains_are_natural(held_back, natural) -> None:
    found = verdicts(held_back, natural)
    assert len(found) == 15
    assert [name for name, verdict in found.items() if verdict != WITHIN] == []


def test_each_fault_is_called_out_by_its_figure(held_back, natural) -> None:
    mirrored = [
        replace(each, backbone=each.backbone * torch.tensor([1, 1, -1])) for each in held_back
    ]
    found = verdicts(mirrored, natural)
    for name in ("pseudo_jsd", "ramachandran_jsd", "left_handed"):
        assert found.pop(name) == ABOVE
    assert found.pop("nearest_tm") in (BELOW, WITHIN)
    assert set(found.values()) == {WITHIN}  # all others are blind to the hand

    found = verdicts([trace(helix(), f"f{i}") for i in range(13)], natural)
    assert found["helix"] == found["pseudo_jsd"] == found["content_jsd"] == ABOVE
    assert found["rg_z"] == found["pairwise_tm"] == ABOVE
    assert found["contact_order"] == found["clusters"] == BELOW
    assert "ramachandran_jsd" not in found

    generator = rng()
    found = verdicts([trace(coil(generator), f"f{i}") for i in range(13)], natural)
    assert found["pseudo_jsd"] == found["clashes"] == found["coil"] == ABOVE
    assert found["helix"] == found["nearest_tm"] == BELOW

    found = verdicts([held_back[0]] * 13, natural)
    assert found["pairwise_tm"] == ABOVE
    assert found["clusters"] == BELOW

    copies = [replace(copy, source=f"f{i}") for i, copy in enumerate(natural_traces(natural)[:13])]
    assert verdicts(copies, natural)["nearest_tm"] == ABOVE

    stretched = [replace(each, backbone=1.1 * each.backbone) for each in held_back]
    assert verdicts(stretched, natural)["bonds"] == BELOW


def test_few_structures_get_no_verdict(held_back, natural) -> None:
    assert set(verdicts(held_back[:9], natural).values()) == {TOO_FEW}
    report = judge_generation(held_back[:1], natural, [], no_progress)
    assert "too few" in report.verdict
    assert "1 cluster at" in " ".join(report.notes)


def test_collapsed_and_exploded_structures_are_judged(natural) -> None:
    odd = [np.zeros((LENGTH, 3)), 1e4 * rng().normal(size=(LENGTH, 3)), helix(400)]
    report = judge_generation(
        [trace(x, f"f{i}") for i, x in enumerate(odd)], natural, [], no_progress
    )
    assert len(report.rows()) == 3
    assert report.partnered == {0, 1}
    assert any("compared with none" in note for note in report.notes)


def test_no_natural_chain_is_an_error(windows) -> None:
    index = np.arange(LENGTH, dtype=np.int32) * 2
    with pytest.raises(RequestError, match="without missing residues"):
        judge_generation(
            [trace(helix())], [replace(windows[0], residue_index=index)], [], no_progress
        )


def test_a_bond_that_is_too_long_is_a_fault_and_no_gap(tmp_path) -> None:
    broken = helix()
    broken[15:] += 10
    write_structure(tmp_path / "broken.pdb", broken, "A" * LENGTH)
    (found,), rejected = read_samples([tmp_path])
    assert len(found) == LENGTH
    assert shape(found.ca)["bonds"] == pytest.approx(28 / 29)
    assert rejected == []


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


def test_cli_judges_one_structure_and_repeats_itself(minifold, structures) -> None:
    first, second = (minifold("judge", structures / "trace.pdb") for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert "too few to tell" in first.stdout
    assert "No designability is claimed" in first.stdout
    assert first.stdout == second.stdout


def test_cli_says_what_is_wrong_in_a_line(minifold, structures, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    write_structure(tmp_path / "two.pdb", helix(2), "AA")
    (tmp_path / "notes.md").write_text("no structure")
    for arguments, words in (
        ([tmp_path / "empty"], "no structure file found"),
        ([tmp_path / "none"], "no such file"),
        ([tmp_path / "two.pdb"], "at least 20 residues"),
        ([tmp_path / "notes.md"], "not a structure file"),
        ([structures, "--split", "tarin"], "did you mean 'train'"),
        ([structures, "--data", tmp_path / "none"], "none"),
    ):
        done = minifold("judge", *arguments)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.splitlines()) <= 2
        assert done.stdout == ""
