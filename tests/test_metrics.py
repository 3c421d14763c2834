import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import biotite.structure as struc
import numpy as np
import pytest
import torch

from minifold_core.errors import MinifoldError
from minifold_core.evaluation.metrics import (
    compare_structures,
    lddt,
    rmsd,
    tm_score,
)
from minifold_core.evaluation.scores import SCORES
from minifold_core.evaluation.tm import fragments, tm_d0

HERE = Path(__file__).parent
MIRROR = torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
SHARES = ("tm", "gdt_ts", "gdt_ha", "lddt")
"""Scores of superposition and distance that are 1 for the truth."""


class Goldens:
    """Pairs of traces and what the program TMscore says of them."""

    def __init__(self) -> None:
        with np.load(HERE / "golden" / "tm_scores.npz") as file:
            self.names = file["names"]
            self.tm, self.gdt_ts, self.gdt_ha = file["tm"], file["gdt_ts"], file["gdt_ha"]
            ends = np.cumsum(file["lengths"])
            self.pairs = np.split(file["milliangstrom"] / 1000, ends[:-1], axis=1)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Prediction, target and mask, padded with coordinates that must not count."""
        longest = max(pair.shape[1] for pair in self.pairs)
        both = torch.full((2, len(self.pairs), longest, 3), 77.0, dtype=torch.float64)
        mask = torch.zeros(len(self.pairs), longest, dtype=torch.bool)
        for i, pair in enumerate(self.pairs):
            both[:, i, : pair.shape[1]] = torch.tensor(pair)
            mask[i, : pair.shape[1]] = True
        return both[0], both[1], mask


@pytest.fixture(scope="module")
def goldens() -> Goldens:
    return Goldens()


@pytest.fixture(scope="module")
def scores(goldens: Goldens) -> dict[str, torch.Tensor]:
    return compare_structures(*goldens.batch())


def real(goldens: Goldens, name: str = "1yeb._ mirrored") -> torch.Tensor:
    return torch.tensor(goldens.pairs[list(goldens.names).index(name)][1])[None]


def noisy(x: torch.Tensor, sigma: float = 1.5) -> torch.Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=x.dtype)
    return x + sigma * noise


def test_the_goldens_cover_what_they_should(goldens: Goldens) -> None:
    lengths = np.array([pair.shape[1] for pair in goldens.pairs])
    assert len(goldens.pairs) == 200
    assert lengths.min() < 20
    assert lengths.max() > 100
    assert ((lengths >= 20) & (lengths <= 40)).sum() >= 50
    for kind in ("mirrored", "hinged", "0.1 Å of noise", "coil for", "1yeb._ for 1crj._"):
        assert any(kind in name for name in goldens.names)
    assert (goldens.tm > 0.95).sum() >= 20
    assert (goldens.tm < 0.2).sum() >= 20


def test_tm_score_is_never_below_the_program(goldens: Goldens, scores) -> None:
    gain = scores["tm"].numpy() - goldens.tm
    assert gain.min() > -0.005, goldens.names[gain.argmin()]
    # The same search: equal to the four digits that the program prints.
    np.testing.assert_allclose(gain, 0, atol=6e-5)


def test_gdt_equals_the_program(goldens: Goldens, scores) -> None:
    np.testing.assert_allclose(scores["gdt_ts"].numpy(), goldens.gdt_ts, atol=6e-5)
    np.testing.assert_allclose(scores["gdt_ha"].numpy(), goldens.gdt_ha, atol=6e-5)


@pytest.mark.skipif(not shutil.which("TMscore"), reason="program TMscore (tm-align) not installed")
def test_the_goldens_are_what_the_program_says(goldens: Goldens) -> None:
    run_tmscore = runpy.run_path(str(HERE.parent / "scripts" / "make_tm_goldens.py"))["run_tmscore"]
    for i in range(0, len(goldens.pairs), 10):
        known = goldens.tm[i], goldens.gdt_ts[i], goldens.gdt_ha[i]
        assert run_tmscore(*goldens.pairs[i]) == pytest.approx(known, abs=1e-3)


def test_lddt_and_rmsd_equal_biotite(goldens: Goldens, scores) -> None:
    for i, (pred, target) in enumerate(goldens.pairs):
        reference = struc.AtomArray(len(target))
        reference.coord, reference.res_id = target.astype(np.float32), np.arange(len(target))
        subject = pred.astype(np.float32)
        assert scores["lddt"][i] == pytest.approx(struc.lddt(reference, subject), abs=1e-4)
        moved, _ = struc.superimpose(reference.coord, subject)
        assert scores["rmsd"][i] == pytest.approx(struc.rmsd(reference.coord, moved), abs=1e-3)


def test_the_truth_is_perfect(goldens: Goldens) -> None:
    _, target, mask = goldens.batch()
    perfect = compare_structures(target, target, mask)
    assert perfect["rmsd"].max() < 1e-6
    for name in SHARES:
        torch.testing.assert_close(perfect[name], torch.ones(len(mask), dtype=torch.float64))


def test_a_mirror_image_is_no_match_but_keeps_every_distance(goldens: Goldens) -> None:
    x = real(goldens)
    mirrored = compare_structures(x * MIRROR, x)
    assert mirrored["tm"] < 0.5
    assert mirrored["rmsd"] > 5
    assert mirrored["lddt"] == 1


def test_a_rigid_motion_changes_nothing(goldens: Goldens) -> None:
    x = real(goldens)
    pred = noisy(x)
    turn, _ = torch.linalg.qr(noisy(torch.zeros(3, 3, dtype=torch.float64)))
    turn = turn * torch.linalg.det(turn)
    moved = compare_structures(pred @ turn.mT + 300, x)
    for name, value in compare_structures(pred, x).items():
        torch.testing.assert_close(moved[name], value, atol=1e-6, rtol=0, equal_nan=True)


def test_the_rmsd_is_kabschs_and_never_a_reflections(goldens: Goldens) -> None:
    target = real(goldens)[0]
    for pred in (noisy(target, 3.0), target * MIRROR, target[:, [1, 0, 2]]):
        x, y = (points - points.mean(0) for points in (pred, target))
        u, s, vt = np.linalg.svd((x.mT @ y).numpy())
        s[-1] *= np.sign(np.linalg.det(u @ vt))
        square = (x.square().sum() + y.square().sum() - 2 * s.sum()) / len(x)
        assert rmsd(pred[None], target[None]).item() == pytest.approx(square.sqrt().item())


def test_padding_gaps_and_batch_order_change_nothing(goldens: Goldens, scores) -> None:
    pred, target, mask = goldens.batch()
    order = torch.arange(len(mask)).flip(0)[::3]
    pick = [x[order] for x in (pred, target, mask)]
    # A gap of two unknown residues, of any coordinates, after the fifth.
    gapped = [torch.cat([x[:, :5], torch.zeros_like(x[:, :2]), x[:, 5:]], 1) for x in pick]
    gapped[0][:, 5:7] = float("nan")
    index = torch.arange(gapped[2].shape[1])
    index = (index - 2 * (index > 6)).expand(len(order), -1)
    for name, values in compare_structures(*gapped, index).items():
        torch.testing.assert_close(values, scores[name][order], equal_nan=True)


def test_each_metric_alone_is_the_same(goldens: Goldens) -> None:
    x = real(goldens)
    together = compare_structures(noisy(x), x)
    assert list(together) == [name for name, score in SCORES.items() if score.of == "trace"]
    alone = {"tm": tm_score, "rmsd": rmsd, "lddt": lddt}
    for name, metric in alone.items():
        torch.testing.assert_close(metric(noisy(x), x), together[name])


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["same", "other", "coincident"])
def test_tiny_chains_have_every_score_but_those_without_anything_to_count(length, kind) -> None:
    target = 3.8 * torch.arange(length)[None, :, None] * torch.tensor([1.0, 0.0, 0.0])
    pred = {"same": target, "other": noisy(target, 5), "coincident": 0 * target}[kind]
    for name, value in compare_structures(pred, target).items():
        if name in ("precision_L_24", "precision_L_33", "helix_recall", "strand_recall"):
            assert value.isnan()
        elif name != "left_handed":
            assert value.isfinite()
            assert name == "rmsd" or 0 <= value <= 1
            if kind == "same" or length == 1:
                torch.testing.assert_close(value.item(), 0.0 if name == "rmsd" else 1.0)


def test_gdt_takes_the_best_superposition_of_each_cutoff() -> None:
    # Half of the chain is exact, the other half displaced by 100 Å: half is within every cutoff.
    target = noisy(torch.zeros(1, 40, 3, dtype=torch.float64), 10)
    pred = target.clone()
    pred[:, 20:] += 100
    assert compare_structures(pred, target)["gdt_ts"].item() == pytest.approx(0.5, abs=0.03)


def test_d0_and_fragments_follow_the_program() -> None:
    assert tm_d0(15) == tm_d0(18) == 0.5
    assert tm_d0(100) == pytest.approx(1.24 * 85 ** (1 / 3) - 1.8)
    sizes = fragments(100).sum(1)
    assert sorted(set(sizes.tolist())) == [4, 6, 12, 25, 50, 100]
    assert [int((sizes == size).sum()) for size in (100, 50, 4)] == [1, 51, 97]
    assert fragments(2).tolist() == [[True, True]]


def test_what_cannot_be_measured_is_named() -> None:
    x = torch.zeros(2, 5, 3)
    mask = torch.ones(2, 5, dtype=torch.bool)
    broken = x.clone()
    broken[1, 2, 0] = float("nan")
    with pytest.raises(MinifoldError, match="chain 1 of the batch is predicted"):
        compare_structures(broken, x)
    with pytest.raises(MinifoldError, match="chain 1 of the batch has true"):
        compare_structures(x, broken)
    with pytest.raises(MinifoldError, match="chain 0 of the batch has no known"):
        compare_structures(x, x, mask & torch.tensor([[False], [True]]))
    with pytest.raises(MinifoldError, match=r"got \(2, 5, 3\), \(2, 4, 3\)"):
        compare_structures(x, x[:, :4], mask)


def test_long_range_precision_counts_the_nearest_pairs() -> None:
    # A hairpin of 80 residues, whose strands are 5 Å apart.
    place = torch.arange(80.0)
    x = torch.stack([torch.minimum(place, 79 - place) * 3.4, 5.0 * (place > 39), 0 * place], -1)
    x = x[None].double()
    distances = torch.cdist(x[0], x[0])
    for name, least in (("precision_L_24", 24), ("precision_L_33", 33)):
        far = torch.ones(80, 80, dtype=torch.bool).triu(least)
        nearest = noisy(x, 2.0)
        ranked = torch.cdist(nearest[0], nearest[0])[far].argsort()[:80]
        expected = (distances[far][ranked] < 8).double().mean()
        torch.testing.assert_close(compare_structures(nearest, x)[name][0], expected)
        short = compare_structures(x[:, :least], x[:, :least])[name]
        assert short.isnan()
        gap = torch.arange(least)[None] + torch.arange(least).gt(least // 2)[None]
        assert not compare_structures(x[:, :least], x[:, :least], None, gap)[name].isnan()


def test_the_facts_of_scores_need_no_torch() -> None:
    code = "import sys, minifold_core.evaluation.scores; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert all(score.name == name and score.says.endswith(".") for name, score in SCORES.items())
    assert SCORES["rmsd"].heading == "RMSD (Å)"
