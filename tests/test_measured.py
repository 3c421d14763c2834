"""Measured comparisons: what is compared, on equal terms, and what is said of it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.cli.measured_tables import SAYS, print_measured
from minifold_core.comparison.common import Common
from minifold_core.comparison.differences import Row, paired_rows
from minifold_core.comparison.measured import Measured, measure
from minifold_core.comparison.measuring import Plan, measure_side
from minifold_core.comparison.quantities import chain_values
from minifold_core.comparison.sides import Side, read_sides
from minifold_core.comparison.verdict import make_verdict
from minifold_core.data.dataset import PackedDataset, open_dataset
from minifold_core.evaluation.figures import judge_figures
from minifold_core.evaluation.judge import judge
from minifold_core.evaluation.noise_levels import batches
from minifold_core.folding import Target, fold
from minifold_core.recipe import load_recipe
from minifold_core.results import finite
from minifold_core.training.objective import Objective
from minifold_core.training.options import Options
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer
from minifold_core.training.validation import validate
from minifold_core.weights.io import load_model
from weights_files import perturbed, save

DATA = open_dataset()
SHORT = PackedDataset(DATA.file, DATA.rows[np.argsort(DATA.lengths)[:8]])
CHAINS = list(SHORT)
RECIPE = load_recipe("v13", "nano")
SAME = Common.of(RECIPE, RECIPE, ("a", "b"))
FAST = Plan(settings=lambda recipe: recipe.sampling.model_copy(update={"steps": 3}), data="demo")
SMALL = {"denoiser.layers": 1, "pair_stack.blocks": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Weights before and after a dozen steps."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    values = {**SMALL, "training.sample_every": 0, "training.self_conditioning": 0.0}
    model = assemble(load_recipe("v12b", "nano", values=values))
    before = save(folder / "before.safetensors", model)
    made = Trainer(model, SHORT, None, Options(torch.device("cpu"), max_steps=12, data="demo"))
    run = Run.create(folder / "run", model.recipe, {"seed": 0})
    made.start(run)
    made.fit(run)
    return before, run.directory


def compared(*arguments: Path, plan: Plan = FAST) -> Measured:
    sides = read_sides([str(each) for each in arguments])
    return measure(sides, CHAINS, DATA, plan)


@pytest.fixture(scope="module")
def found(trained: tuple[Path, Path]) -> Measured:
    """The weights before and after, and those after once more."""
    before, after = trained
    return compared(before, after, after)


def row_of(measured: Measured, name: str, levels: str = "") -> Row:
    rows = measured.pairs[0].rows
    return next(row for row in rows if (row.name, row.levels) == (name, levels))


def test_trained_weights_are_better_than_those_they_began_with(found: Measured) -> None:
    verdict, tm = found.pairs[0].verdict, row_of(found, "tm")
    low, high = tm.difference.interval
    assert (tm.says, tm.over) == ("better", "chains")
    assert 0 < low < tm.difference.mean < high
    assert tm.other - tm.first == pytest.approx(tm.difference.mean)
    assert f"run is better than before by TM-score {tm.difference.mean:+.3f} ({low:+.3f}" in str(
        verdict
    )
    # Twelve steps clear no floor: that is said before anything else, and in a few words too.
    assert str(verdict).startswith("Neither clears the best floor, ")
    assert " for before, -0." in str(verdict)
    assert verdict.says == "better, but neither clears the floor"
    assert "of these weights and these samples (1 of each chain); another --seed" in str(verdict)
    assert "Of training nothing is said" in str(verdict)
    # One score decides, and the verdict names what else differs.
    rest = {row.plain: row.says for row in found.pairs[0].rows if not row.levels}
    assert verdict.others["better"] == [
        name for name, says in rest.items() if says == "better" and name != "TM-score"
    ]
    assert f"of {len(rest) - 1} other quantities: better in " in str(verdict)
    assert row_of(found, "fape").says == "better"
    assert row_of(found, "dist_mse", "t750-1000").difference.n == len(CHAINS)
    # Each chain's values in the result are those that evaluating one side alone gives.
    sampled = found.sides[1].samples
    alone = judge(sampled.traces, CHAINS, DATA).to_dict()
    told = json.loads(json.dumps(finite(found.to_dict())))
    for one, other in zip(alone["chains"], told["chains"], strict=True):
        assert other["run"]["score"]["tm"] == pytest.approx(one["tm"])
    assert told["sides"][1]["trained"][0]["sha256"].startswith(told["source"]["weights"]["run"][0])


def test_weights_beside_themselves_differ_by_exactly_nothing(found: Measured) -> None:
    _, after, again = found.sides
    rows = paired_rows(after, again, SAME)
    verdict = make_verdict(after, again, rows, SAME)
    assert {row.difference.mean for row in rows} == {0.0}
    assert verdict.says == "no difference shown, and neither clears the floor"
    assert "are the same weights" in str(verdict)
    assert [row.difference for row in found.pairs[0].rows] == [
        row.difference for row in found.pairs[1].rows
    ]
    assert {row.kind for row in rows} == {"score", "loss"}
    assert {row.name for row in rows} >= {"tm", "lddt", "fape", "frame_rot", "total_fixed"}


def test_two_samplings_of_the_same_trained_weights_show_no_difference(
    trained: tuple[Path, Path], found: Measured
) -> None:
    side = read_sides([str(trained[1])] * 2)[1]
    quiet = lambda what, total: nullcontext(lambda steps, words="": None)  # noqa: E731
    again = measure_side(side, CHAINS, found.bench, replace(FAST, seed=1), quiet)
    first = found.sides[1]
    rows = paired_rows(first, again, SAME)
    assert not torch.equal(first.scores["tm"], again.scores["tm"])
    assert make_verdict(first, again, rows, SAME).says.startswith("no difference shown")
    # Validation has noise of its own.
    assert {row.difference.mean for row in rows if row.kind == "loss"} == {0.0}


def test_the_terminal_shows_the_interval_that_decides(
    found: Measured, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    print_measured(found)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    for row in found.pairs[0].rows:
        if not row.levels:
            wanted = f"{row.label} {row.first:.{row.digits}f} {row.other:.{row.digits}f} "
            wanted += f"{row.decides.text(row.digits)} {SAYS.get(row.says, row.says)}"
            assert wanted.split() in lines


def test_every_model_starts_from_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever denoises: IPA, with a triangle stack, with a backbone head; EGNN up to its units."""
    states, validated = {}, {}
    predict = Objective.predict
    for version in ("v12b", "v13", "v14", "v10"):
        model = assemble(version, "nano")
        sampling = model.recipe.sampling.model_copy(update={"steps": 1})
        done = list(fold(model, list(map(Target.of, CHAINS[:3])), sampling, seed=5, record=True))
        states[version] = [each.trajectory.states[0] for each in done]
        seen: list[torch.Tensor] = []

        def note(self, model, batch, noised, *others, seen=seen, **named):
            seen += [noised.t, noised.coords]
            return predict(self, model, batch, noised, *others, **named)

        with monkeypatch.context() as patch:
            patch.setattr(Objective, "predict", note)
            chain_values(model, CHAINS[:3], lambda count: None)
        validated[version] = seen
    exact = [states[version] for version in ("v12b", "v13", "v14")]
    for one, *others in zip(*exact, strict=True):
        assert all(torch.equal(one, other) for other in others)
    sizes = [x / x.norm() for x in states["v10"]]
    torch.testing.assert_close(sizes, [x / x.norm() for x in states["v13"]])
    for version in ("v13", "v14"):
        assert all(map(torch.equal, validated["v12b"], validated[version]))
    assert all(map(torch.equal, validated["v10"][::2], validated["v13"][::2]))


def test_models_of_a_line_have_the_same_values() -> None:
    first, second = (
        chain_values(perturbed(version, **SMALL), CHAINS, lambda count: None)[0]
        for version in ("v12b", "v13")
    )
    assert first.keys() == second.keys()
    assert first.keys() >= {"fape", "fape@t0-250", "total_fixed"}
    assert "rg@t0-250" not in first  # from the sequence alone: the bins would be copies


@pytest.mark.parametrize("version", ["v12b", "v15"])
def test_values_of_chains_are_what_validation_averages(version: str) -> None:
    model = perturbed(version, **SMALL)
    losses, _ = chain_values(model, CHAINS, lambda count: None)
    ordered = sorted(CHAINS, key=len)
    means = validate(
        model, Objective.of(model.recipe), batches(model, ordered, lambda count: None), 1
    ).means()
    assert losses.keys() >= {*model.recipe.active_losses, "total_fixed"}
    for name in losses.keys() & {figure.removeprefix("val/") for figure in means}:
        values = losses[name]
        assert float(values.mean()) == pytest.approx(means[f"val/{name}"], rel=1e-6), name


def test_contact_models_are_compared_by_their_own_figures(tmp_path: Path) -> None:
    paths = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        paths.append(save(tmp_path / f"contact{seed}.safetensors", assemble("contact", "nano")))
    found = compared(*paths)
    verdict = found.pairs[0].verdict
    assert found.bench is None
    assert verdict.row.name == "precision_L_24"
    assert [check.label for check in verdict.floors] == ["contact1", "contact2"]
    figures = {
        figure.name: figure for figure in judge_figures(load_model(paths[1])[0], CHAINS).rows
    }
    for row in found.pairs[0].rows:
        if row.kind == "figure":
            assert row.other == pytest.approx(figures[row.name].mean, nan_ok=True)
            assert (row.better == "higher") == (figures[row.name].floor is not None)
    json.dumps(finite(found.to_dict()))


def test_models_without_anything_in_common_are_said_to_have_nothing(tmp_path: Path) -> None:
    contact = save(tmp_path / "contact.safetensors", assemble("contact", "nano"))
    v12b = save(tmp_path / "v12b.safetensors", perturbed("v12b", **SMALL))
    found = compared(contact, v12b)
    assert found.pairs[0].rows == ()
    assert str(found.pairs[0].verdict) == (
        "contact and v12b have nothing in common that could be compared: only v12b denoises."
    )


def test_several_trainings_and_samples_count_by_their_mean(trained, tmp_path: Path) -> None:
    before, after = trained
    (one,), (two,) = (read_sides([str(path)] * 2)[0].members for path in (before, after))
    own = read_sides([str(after)] * 2)[0]
    both = replace(own, label="both", members=(replace(one, seed=1), replace(two, seed=2)))
    sides: tuple[Side, ...] = (own, both)
    found = measure(sides, CHAINS[:5], DATA, replace(FAST, count=2))
    scores = found.sides[1].scores["tm"]
    assert scores.shape == (5, 2, 2)
    assert torch.equal(scores[:, 1], found.sides[0].scores["tm"][:, 0])
    row = row_of(found, "tm")
    assert row.other == pytest.approx(float(scores.mean()))
    own_tm = found.sides[1].judgement.report.rows[0].means["tm"]
    assert own_tm == pytest.approx(row.other)
    assert row.training is None
