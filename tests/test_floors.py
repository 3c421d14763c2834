import gzip
import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.distance_map import distance_map
from minifold_core.evaluation.floors import (
    COIL,
    DISTANCE_MAP,
    MIRROR,
    ONE_POINT,
    OTHER_CHAIN,
    coil,
    floor_predictions,
    mirror_image,
    one_point,
    other_chain,
)
from minifold_core.evaluation.judge import SCORED, Bench
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.evaluation.paired import Difference, paired_interval
from minifold_core.evaluation.report import Report, make_report
from minifold_core.evaluation.shuffled import SHUFFLED, shuffled
from minifold_core.geometry.size import radius_of_gyration

CHAIN_SET = Path(__file__).parents[2] / "shared" / "data"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def target() -> torch.Tensor:
    return 5 + 9 * torch.randn(3, 20, 3, generator=seeded())


@pytest.fixture
def mask() -> torch.Tensor:
    return torch.arange(20) < torch.tensor([[20], [12], [1]])


def chain_of(name: str, ca: np.ndarray) -> Chain:
    """A chain of those Cα atoms, and of one residue more in its middle whose atoms are unknown."""
    known = np.ones((len(ca) + 1, 4), np.bool_)
    known[len(ca) // 2] = False
    backbone = np.zeros((len(known), 4, 3), np.float32)
    backbone[known[:, 1]] = ca[:, None]
    index = np.arange(len(known), dtype=np.int32)
    return Chain(name, "A" * len(known), index, backbone, known)


def straight(name: str, length: int, start: float) -> Chain:
    return chain_of(name, start + np.arange(length)[:, None] * np.array([4.0, 0.0, 0.0]))


LIBRARY = [straight("1aaa.A", 30, 0), straight("1aaa.B", 40, 1000), straight("2bbb.A", 15, 2000)]


def test_one_point_is_the_centre_of_what_is_known(target, mask) -> None:
    points = one_point(target, mask)
    assert points.shape == target.shape
    assert torch.allclose(points[1, 3], target[1, :12].mean(0), atol=1e-5)
    assert (points == points[:, :1]).all()


def test_a_coil_has_the_right_size_and_place(target, mask) -> None:
    walk = coil(target, mask, seeded())
    right = radius_of_gyration(target, mask)
    assert torch.allclose(radius_of_gyration(walk, mask), right, atol=1e-4)
    assert torch.allclose(one_point(walk, mask), one_point(target, mask), atol=1e-4)
    steps = (walk[:, 1:] - walk[:, :-1]).norm(dim=-1)
    assert torch.allclose(steps[:2], steps[:2, :1].expand(-1, 19), rtol=1e-3)
    assert walk.isfinite().all()


def test_another_chain_is_a_window_of_another_entry() -> None:
    mask = torch.arange(20) < torch.tensor([[15], [12]])
    for seed in range(20):
        window = other_chain(mask, ["1aaa.A", "2bbb.A"], LIBRARY, seeded(seed))
        assert (window[0, :15, 0] >= 2000).all()
        assert (window[1, :12, 0] < 2000).all()
        steps = (window[:, 1:] - window[:, :-1])[mask[:, 1:]]
        assert (steps == torch.tensor([4.0, 0.0, 0.0])).all()
        assert (window[~mask] == 0).all()


def test_a_target_longer_than_all_others_gets_them_end_to_end() -> None:
    trace = other_chain(torch.ones(1, 40, dtype=torch.bool), ["1aaa.B"], LIBRARY, seeded())
    steps = (trace[0, 1:] - trace[0, :-1]).norm(dim=-1)
    joints = steps.ne(4).nonzero()[:, 0]
    assert torch.allclose(steps[joints], torch.tensor(3.8), atol=1e-3)
    assert joints.diff().tolist() == [15] * (len(joints) - 1)
    assert len(joints) >= 2


def test_without_another_entry_it_is_said(mask) -> None:
    with pytest.raises(RequestError, match=r"2bbb\.A: no chain of another entry"):
        other_chain(mask[:1], ["2bbb.A"], LIBRARY[2:], seeded())


def helix(name: str, length: int, hand: int = 1) -> Chain:
    """An ideal α-helix, 100° and 1.5 Å per residue, that lacks the residue in its middle."""
    place = np.delete(np.arange(length + 1), length // 2)
    angle = hand * np.radians(100) * place
    return chain_of(name, np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * place], 1))


def mapped(target: Chain, library: list[Chain]) -> torch.Tensor:
    batch = collate([target])
    return distance_map(batch.residue_index, batch.ca_mask, batch.names, library)


@pytest.mark.parametrize("hand", [1, -1])
def test_a_distance_map_of_helices_is_a_right_handed_helix(hand: int) -> None:
    target = helix("1aaa.A", 30)
    truth, known = collate([target]).ca, collate([target]).ca_mask
    fold = mapped(target, [helix("2bbb.A", 30, hand), helix("1aaa.B", 30, -hand)])
    scores = compare_structures(fold, truth, known)
    assert scores["rmsd"].item() == pytest.approx(0, abs=1e-3)
    left = compare_structures(fold, mirror_image(truth), known)
    assert left["rmsd"].item() > 2


def test_a_distance_map_leaves_the_own_entry_out_and_reaches_as_far_as_it_can() -> None:
    target = straight("1aaa.A", 30, 0)
    with pytest.raises(RequestError, match=r"1aaa\.A: no chain of another entry"):
        mapped(target, [straight("1aaa.B", 30, 0)])
    short = mapped(target, [straight("2bbb.A", 10, 0), straight("1aaa.B", 30, 0)])
    assert short.isfinite().all()
    near, far = (short[0, 5] - short[0, 4]).norm(), (short[0, 30] - short[0, 0]).norm()
    assert near < far < 60  # the longest distance that is known is 40 Å, the target's 120 Å


def test_floors_repeat_with_the_seed_alone() -> None:
    batch = collate(list(open_dataset())[:3])
    library = list(open_dataset())[3:]
    first, second, third = (floor_predictions(batch, library, seeded(seed)) for seed in (1, 1, 2))
    assert list(first) == [ONE_POINT, COIL, OTHER_CHAIN, DISTANCE_MAP]
    for name, prediction in first.items():
        assert torch.equal(prediction, second[name])
        drawn = name in (COIL, OTHER_CHAIN)
        assert torch.equal(prediction, third[name]) != drawn


def means(bench: Bench) -> dict[str, dict[str, float]]:
    predictors = bench.floors | {MIRROR: bench.mirror}
    return {
        name: {metric: float(values.nanmean()) for metric, values in scores.items()}
        for name, scores in predictors.items()
    }


def test_the_floors_of_the_demo_chains_come_in_their_order() -> None:
    demo = open_dataset()
    told: list[int] = []
    bench = Bench.of(list(demo.subset("validation")), demo.subset("train"), on_scored=told.append)
    measured = means(bench)
    assert sum(told) == SCORED == len(measured)
    tm = {name: scores["tm"] for name, scores in measured.items()}
    assert tm[ONE_POINT] < tm[COIL] < tm[DISTANCE_MAP] < tm[MIRROR]
    assert tm[COIL] < tm[OTHER_CHAIN] < tm[MIRROR]
    assert tm == {
        ONE_POINT: pytest.approx(0.09, abs=0.03),
        COIL: pytest.approx(0.15, abs=0.04),
        OTHER_CHAIN: pytest.approx(0.20, abs=0.04),
        DISTANCE_MAP: pytest.approx(0.19, abs=0.04),
        MIRROR: pytest.approx(0.37, abs=0.05),
    }
    assert measured[MIRROR]["lddt"] == pytest.approx(1)
    assert measured[DISTANCE_MAP]["rmsd"] < measured[COIL]["rmsd"]
    for name, scores in measured.items():
        assert (scores["precision_L_24"] < 0.1) == (name != MIRROR)


@pytest.mark.slow
@pytest.mark.skipif(not CHAIN_SET.is_dir(), reason="../shared/data is not here")
def test_the_floors_of_real_chains_are_where_they_were_measured() -> None:
    """Validation and training chains are unlike in sequence: the library holds no near relative."""
    splits = json.loads((CHAIN_SET / "chain_set_splits.json").read_text())
    wanted = {*splits["validation"][::2], *splits["train"][::5]}
    with gzip.open(CHAIN_SET / "chain_set.jsonl.gz", "rt") as lines:
        chains = {
            chain["name"]: chain_of(chain["name"], np.array(chain["coords"]["CA"]))
            for chain in map(json.loads, lines)
            if chain["name"] in wanted
        }
    targets, library = (
        [chains[name] for name in splits[split] if name in chains]
        for split in ("validation", "train")
    )
    measured = means(Bench.of(targets, library))
    assert {name: scores["tm"] for name, scores in measured.items()} == {
        ONE_POINT: pytest.approx(0.095, abs=0.015),
        COIL: pytest.approx(0.155, abs=0.015),
        OTHER_CHAIN: pytest.approx(0.200, abs=0.015),
        DISTANCE_MAP: pytest.approx(0.182, abs=0.015),
        MIRROR: pytest.approx(0.368, abs=0.02),
    }
    assert measured.pop(MIRROR)["rmsd"] == pytest.approx(8.3, abs=1)
    assert measured.pop(DISTANCE_MAP)["rmsd"] == pytest.approx(11.9, abs=1)
    for scores in measured.values():
        assert scores["rmsd"] == pytest.approx(14.1, abs=1.2)
        assert scores["precision_L_24"] == pytest.approx(0.03, abs=0.015)


def scores_of(tm: list[float]) -> dict[str, torch.Tensor]:
    values = torch.tensor(tm, dtype=torch.float64)
    return {"tm": values, "rmsd": 20 * (1 - values)}


def report(
    model: list[float], low: list[float], high: list[float], mixed: list[float] | None = None
) -> Report:
    floors = {"low": scores_of(low), "high": scores_of(high)}
    own = None if mixed is None else scores_of(mixed)
    return make_report(scores_of(model), floors, scores_of([1.0] * len(model)), own)


def test_a_report_says_whether_the_model_clears_the_floors() -> None:
    floors = [0.1] * 24, [0.2, 0.3] * 12
    clear = report([0.3, 0.35] * 12, *floors)
    names = ["model", "floor: low", "floor: high", MIRROR]
    assert [row.name for row in clear.rows] == names
    assert clear.best == {"tm": "high", "rmsd": "high"}
    assert clear.verdict.difference.mean == pytest.approx(0.075)
    assert "clears the best floor, high: TM-score +0.075" in str(clear.verdict)
    assert "sequence" not in str(clear.verdict)
    assert "is below" in str(report([0.1, 0.2] * 12, *floors).verdict)
    assert "cannot be told from" in str(report([0.1, 0.4] * 12, *floors).verdict)
    few = report([0.9] * 3, [0.1] * 3, [0.2] * 3, [0.2] * 3).verdict
    assert few.difference.interval is None
    assert "Too few chains to tell whether the model clears the floors: fewer than 5" in str(few)
    assert "or whether it reads the sequence" in str(few)


def test_a_report_says_whether_the_model_reads_the_sequence() -> None:
    floors = [0.1] * 24, [0.2] * 24
    model = [0.5, 0.6] * 12
    reads = report(model, *floors, [0.4, 0.5] * 12)
    assert [row.name for row in reads.rows][1] == SHUFFLED
    assert "It reads the sequence: TM-score +0.100 (+0.100, +0.100) over" in str(reads.verdict)
    told = str(report(model, *floors, [0.6, 0.5] * 12).verdict)
    assert "Whether it reads the sequence cannot be told: TM-score +0.000" in told
    assert "worse with its own" in str(report(model, *floors, [0.7] * 24).verdict)
    against = [c.against for c in reads.against_best("rmsd")]
    assert against == ["high", SHUFFLED]
    rmsd = reads.against_best("rmsd")[0]
    assert rmsd.difference.mean == pytest.approx(-20 * 0.35)
    assert [rmsd.outcome, reads.against_best("tm")[0].outcome] == [1, 1]
    worse = report([0.1] * 24, *floors).against_best("rmsd")[0]
    assert (worse.difference.sign, worse.outcome) == (1, -1)


def test_a_shuffled_chain_differs_in_the_order_of_its_residues_alone() -> None:
    for chain in open_dataset():
        mixed = shuffled(chain, 1)
        assert sorted(mixed.sequence) == sorted(chain.sequence)
        assert mixed.sequence not in (chain.sequence, shuffled(chain, 2).sequence)
        assert mixed.sequence == shuffled(chain, 1).sequence
        assert mixed.name == chain.name
        assert (mixed.backbone == chain.backbone).all()


def test_a_pair_with_an_undefined_score_is_left_out() -> None:
    nan = float("nan")
    ours, theirs = [0.5, nan, 0.3, 0.2, 0.6, 0.4], [0.1, 0.2, nan, 0.1, 0.1, 0.1]
    assert Difference.of(ours, theirs) == Difference(4, pytest.approx(0.325), None)
    assert Difference.of([nan], [1.0]).text() == "–"
    assert Difference.of([nan], [1.0]).n == 0


def test_the_bootstrap_interval_is_that_of_all_resamples() -> None:
    x = np.array([0.03, -0.01, 0.05, 0.02, 0.11])
    every = [np.mean(drawn) for drawn in product(x, repeat=len(x))]
    expected = np.quantile(every, (0.025, 0.975))
    assert Difference.of(x + 1, np.ones(5)).interval == pytest.approx(expected, abs=2e-3)


def test_the_bootstrap_interval_is_about_two_standard_errors() -> None:
    x = np.random.default_rng(0).normal(0.1, 1.0, 400)
    low, high = paired_interval(x)
    assert low == pytest.approx(x.mean() - 1.96 * x.std() / 20, abs=0.01)
    assert high == pytest.approx(x.mean() + 1.96 * x.std() / 20, abs=0.01)
