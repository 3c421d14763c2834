import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.floors import (
    COIL,
    ONE_POINT,
    OTHER_CHAIN,
    coil,
    floor_predictions,
    one_point,
    other_chain,
    radius_of_gyration,
)
from minifold_core.evaluation.metrics import METRICS, compare_structures
from minifold_core.evaluation.report import make_report, paired_interval

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


def test_floors_repeat_with_the_seed_alone(target, mask) -> None:
    names = ["a", "b", "c"]
    first, second, third = (
        floor_predictions(target, mask, names, LIBRARY, seeded(seed)) for seed in (1, 1, 2)
    )
    assert list(first) == [ONE_POINT, COIL, OTHER_CHAIN]
    for name, prediction in first.items():
        assert torch.equal(prediction, second[name])
        assert name == ONE_POINT or not torch.equal(prediction, third[name])


@pytest.mark.slow
@pytest.mark.skipif(not CHAIN_SET.is_dir(), reason="../shared/data is not here")
def test_the_floors_of_real_chains_are_where_they_were_measured() -> None:
    wanted = set(json.loads((CHAIN_SET / "chain_set_splits.json").read_text())["validation"])
    with gzip.open(CHAIN_SET / "chain_set.jsonl.gz", "rt") as lines:
        chains = {
            chain["name"]: torch.tensor(chain["coords"]["CA"])
            for chain in map(json.loads, lines)
            if chain["name"] in wanted
        }
    names = list(chains)[::2]
    lengths = torch.tensor([len(chains[name]) for name in names])
    truth = torch.nn.utils.rnn.pad_sequence([chains[name] for name in names], batch_first=True)
    known = torch.arange(truth.shape[1]) < lengths[:, None]
    library = [chain_of(name, trace.numpy()) for name, trace in chains.items()]
    floors = floor_predictions(truth, known, names, library, seeded())
    means = {
        name: {metric: values.mean().item() for metric, values in scores.items()}
        for name, scores in (
            (name, compare_structures(pred, truth, known)) for name, pred in floors.items()
        )
    }
    tm = {name: scores["tm"] for name, scores in means.items()}
    assert tm == {
        ONE_POINT: pytest.approx(0.095, abs=0.015),
        COIL: pytest.approx(0.155, abs=0.015),
        OTHER_CHAIN: pytest.approx(0.200, abs=0.015),
    }
    for scores in means.values():
        assert scores["rmsd"] == pytest.approx(14.1, abs=1.2)


def scores_of(tm: list[float]) -> dict[str, torch.Tensor]:
    return {metric: torch.tensor(tm, dtype=torch.float64) for metric in METRICS}


def test_a_report_says_whether_the_model_clears_the_floors() -> None:
    floors = {"low": scores_of([0.1] * 8), "high": scores_of([0.2, 0.3] * 4)}
    clear = make_report(scores_of([0.3, 0.35] * 4), floors)
    assert [row.name for row in clear.rows] == ["model", "floor: low", "floor: high"]
    assert clear.verdict.floor == "high"
    assert clear.verdict.difference == pytest.approx(0.075)
    assert "clears the best floor, high: TM-score +0.075" in str(clear.verdict)
    assert "is below" in str(make_report(scores_of([0.1, 0.2] * 4), floors).verdict)
    assert "cannot be told" in str(make_report(scores_of([0.1, 0.4] * 4), floors).verdict)
    few = make_report(scores_of([0.9] * 3), {"low": scores_of([0.1] * 3)})
    assert few.verdict.interval is None
    assert "Too few chains" in str(few.verdict)


def test_a_report_for_people_and_for_programs() -> None:
    from rich.console import Console

    report = make_report(scores_of([0.25] * 6), {"low": scores_of([0.125] * 6)})
    assert json.loads(json.dumps(report.to_dict()))["rows"][1] == {
        "name": "floor: low", "n": 6, **dict.fromkeys(METRICS, 0.125)
    }  # fmt: skip
    console = Console(width=100)
    with console.capture() as captured:
        console.print(report.to_table())
    text = captured.get()
    assert "floor: low" in text
    assert "0.125" in text


def test_the_bootstrap_interval_is_about_two_standard_errors() -> None:
    x = np.random.default_rng(0).normal(0.1, 1.0, 400)
    low, high = paired_interval(x)
    assert low == pytest.approx(x.mean() - 1.96 * x.std() / 20, abs=0.01)
    assert high == pytest.approx(x.mean() + 1.96 * x.std() / 20, abs=0.01)
