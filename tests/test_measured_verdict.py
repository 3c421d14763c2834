"""What two measured sides have in common, and what their intervals allow to say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from minifold_core.comparison.common import Common
from minifold_core.comparison.differences import paired_rows, without_broken
from minifold_core.comparison.notes import notes_of
from minifold_core.comparison.quantities import Quantities, Trained
from minifold_core.comparison.training_claim import TrainingDifference, t_quantile, welch_interval
from minifold_core.comparison.verdict import make_verdict
from minifold_core.data.dataset import open_dataset
from minifold_core.recipe import load_recipe

RECIPE = load_recipe("v13", "nano")
SAME = Common.of(RECIPE, RECIPE, ("a", "b"))
CHAINS = sorted(open_dataset(), key=len)[:8]


@pytest.mark.parametrize(
    ("first", "other", "left_out"),
    [
        ("v11", "v11b", {"fape": "frames is rebuilt and predicted", "frame_rot": "only v11b"}),
        ("v10", "v13", {"rg": "the model units differ: a radius of gyration in v10, 10 Å in v13"}),
        ("v12b", "v13", {"total_fixed": "the weights differ: clash"}),
        ("v13", "v14", {"bb_fape": "only v14 has it", "total_fixed": "the terms differ"}),
        ("v9", "v10", {"aux_distogram": "only v10 has it"}),
    ],
)
def test_only_terms_of_one_definition_are_compared(
    first: str, other: str, left_out: dict[str, str]
) -> None:
    recipes = [load_recipe(version, "nano") for version in (first, other)]
    common = Common.of(*recipes, (first, other))
    for name, why in left_out.items():
        assert why in common.left_out[name]
    assert not set(common.losses) & set(common.left_out)
    assert bool(common.losses) == (first != "v10")


def test_totals_and_edges_count_only_if_they_mean_the_same() -> None:
    heavier = load_recipe("v13", "nano", values={"losses.fape.weight": 2.0})
    finer = load_recipe("v13", "nano", values={"heads.distance.bins": 64})
    labels = ("a", "b")
    assert SAME.left_out == {}
    assert Common.of(RECIPE, heavier, labels).left_out == {
        "total_fixed": "the weights differ: fape"
    }
    assert set(Common.of(RECIPE, finer, labels).left_out) == {"aux_dist", "total_fixed"}


def synthetic(label: str, scores: np.ndarray, seeds: tuple[int, ...] = (0,)) -> Quantities:
    """A side with TM-scores [n, M] and nothing else."""
    trained = tuple(
        Trained(label, "last.safetensors", f"{label}{seed}", seed, 1, 1, "") for seed in seeds
    )
    values = {"tm": torch.from_numpy(scores)[..., None]}
    return Quantities(label, RECIPE, trained, None, {}, {}, scores=values)


def says(first: Quantities, other: Quantities):
    return make_verdict(first, other, paired_rows(first, other, SAME), SAME)


def test_two_samplings_of_the_same_weights_show_no_difference_in_95_of_100_cases() -> None:
    rng = np.random.default_rng(3)
    silent = 0
    for _ in range(100):
        chains = rng.beta(2, 5, size=(40, 1))
        sides = [
            synthetic(label, chains + rng.normal(0, 0.1, size=chains.shape)) for label in ("a", "b")
        ]
        silent += says(*sides).says == "no difference shown"
    assert 89 <= silent <= 99


def test_training_is_spoken_of_from_three_seeds_a_side_on() -> None:
    rng = np.random.default_rng(0)
    chains = rng.beta(2, 5, size=(40, 1)) + rng.normal(0, 0.01, size=(40, 3))
    seeds = (1, 2, 3)
    noise = np.array([0.0, 0.05, -0.05])
    first, other = synthetic("a", chains, seeds), synthetic("b", chains + 0.03 + noise, seeds)
    verdict = says(first, other)
    # Over chains the weights differ; over seeds the trainings do not, and those decide.
    assert verdict.row.difference.sign == 1
    assert (verdict.says, verdict.row.over) == ("no difference shown", "seeds")
    assert "between a and b: TM-score +0.030 (-0.0" in str(verdict)
    assert "over seeds (a has 3, b has 3). That is said of training" in str(verdict)
    assert "Of these weights alone: TM-score +0.030 (+0.0" in str(verdict)
    steady = says(first, synthetic("b", chains + 0.03, seeds))
    assert "b is better than a by TM-score +0.030 (+0.0" in str(steady)
    told = steady.row.to_dict()
    assert told["says"] == "better"
    assert told["training"]["interval_95"] != told["interval_95"]
    two = says(synthetic("a", chains[:, :2], seeds[:2]), other)
    assert (two.says, two.row.over, two.row.training) == ("better", "chains", None)
    assert "that takes 3 seeds or more a side, and a has 2, b has 3" in str(two)
    again = replace(first, trained=(first.trained[0],) * 3)
    assert says(again, other).row.training is None


def test_both_intervals_are_over_chains_that_every_training_has() -> None:
    rng = np.random.default_rng(0)
    chains = rng.beta(2, 5, size=(40, 3))
    other = chains + rng.normal(0.05, 0.02, size=chains.shape)
    whole = says(synthetic("a", chains[1:], (1, 2, 3)), synthetic("b", other[1:], (1, 2, 3))).row
    other[0, 1] = np.nan
    row = says(synthetic("a", chains, (1, 2, 3)), synthetic("b", other, (1, 2, 3))).row
    assert row.difference.n == 39
    assert row.training == whole.training
    assert row.training.mean == pytest.approx(row.difference.mean)


def test_errors_are_better_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, name = load_recipe("contact", "nano"), "precision_L_24"
    (metric, *_) = recipe.metrics.values()
    values = torch.linspace(0.1, 0.3, 8, dtype=torch.float64)[:, None, None]
    figures = {name: values, f"floor_{name}": values + 0.05}
    first, other = (
        replace(synthetic(label, values[:, 0].numpy()), recipe=recipe, scores={}, figures=own)
        for label, own in (("a", figures), ("b", figures | {name: values + 0.1}))
    )
    common = Common.of(recipe, recipe, ("a", "b"))
    for lower, word, clear in ((False, "better", "b"), (True, "worse", "a")):
        monkeypatch.setattr(
            metric.spec.implementation_class(),
            "lower_is_better",
            frozenset({name} if lower else ()),
        )
        verdict = make_verdict(first, other, paired_rows(first, other, common), common)
        assert verdict.says == word
        assert [check.label for check in verdict.floors if check.clears] == [clear]


def test_losses_that_diverged_are_left_out_with_the_reason() -> None:
    scores = np.random.default_rng(0).beta(2, 5, size=(8, 1))
    losses = {name: torch.ones(8, 1, 1) for name in SAME.losses}
    first, other = (replace(synthetic(label, scores), losses=losses) for label in ("a", "b"))
    broken = torch.ones(8, 1, 1)
    broken[:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])[:, None, None]
    other = replace(other, losses=losses | {"fape": broken})
    common = without_broken(SAME, (first, other))
    assert common.left_out == {"fape": "not finite on 3 chains of b"}
    assert {*SAME.losses} - {*common.losses} == {"fape"}


def test_a_bound_that_decides_is_not_printed_as_0() -> None:
    rng = np.random.default_rng(0)
    chains = rng.beta(2, 5, size=(40, 1))
    other = chains + 0.002 + rng.normal(0, 0.0055, size=chains.shape)
    row = paired_rows(synthetic("a", chains), synthetic("b", other), SAME)[0]
    low, high = row.difference.interval
    assert 0 < low < 0.0005
    assert row.to_dict()["digits"] == 4
    assert row.decides.text(row.digits).endswith(f"({low:+.4f}, {high:+.4f})")


def test_what_narrows_the_figures_is_said() -> None:
    scores = np.random.default_rng(0).beta(2, 5, size=(8, 1))
    sides = [synthetic(label, scores) for label in ("a", "b", "c")]
    made = {"file": "best.safetensors", "epoch": 7, "data_digest": "other", "continued": True}
    late = replace(sides[2].trained[0], **made)
    sides[2] = replace(sides[2], trained=(late,))
    rows = paired_rows(*sides[:2], SAME)
    told = " ".join(notes_of(sides, rows, CHAINS, "validation", "other"))
    for words in (
        "compared with the first, a, and not with each other",
        "of different epochs: a 1; b 1; c 7; c began from other weights, whose epochs come on top.",
        "Of c, best.safetensors is measured: chosen by validation loss, which flatters",
        "one of 1, those by noise level included",
        "more where it is over fewer than 20 chains",
    ):
        assert words in told
    plain = " ".join(notes_of(sides[:2], rows, CHAINS, "train"))
    assert "trained on them may remember them" in plain
    elsewhere = " ".join(notes_of(sides, rows, CHAINS, "validation", "another pack"))
    assert "Of c, best.safetensors is measured: chosen by validation loss. " in elsewhere
    assert "first" not in plain
    assert "epochs" not in plain


def test_welch_intervals_are_those_of_scipy() -> None:
    for freedom in (1.0, 2.0, 2.7, 4.0, 11.3, 100.0, 1000.0):
        assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-6)
    rng = np.random.default_rng(1)
    first, other = rng.normal(0.3, 0.02, 3).tolist(), rng.normal(0.35, 0.1, 5).tolist()
    wanted = stats.ttest_ind(other, first, equal_var=False).confidence_interval()
    assert welch_interval(first, other) == pytest.approx((wanted.low, wanted.high), rel=1e-6)
    assert TrainingDifference.of(first[:2], other) is None
    assert TrainingDifference.of([0.5] * 3, [0.6] * 3).interval is None
