"""Training: schedules, groups, accumulation, averages, validation, and what a run leaves behind."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch, Truth
from minifold_core.data.dataset import open_dataset
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.interfaces import Generators
from minifold_core.recipe import load_recipe
from minifold_core.recipe_schema import Schedule, TrainingConfig, TripwireConfig
from minifold_core.training import optim
from minifold_core.training.objective import Noised, Objective
from minifold_core.training.optim import (
    EMA,
    build_optimizer,
    clip_gradients,
    gradient_norms,
    learning_rate,
    set_learning_rate,
)
from minifold_core.training.run import Run
from minifold_core.training.trainer import Options, Trainer
from minifold_core.training.tripwire import Tripwire
from minifold_core.training.validation import validate
from minifold_core.weights.header import read_header
from minifold_core.weights.io import load_model

CPU = torch.device("cpu")


def trainer(version: str = "v13", max_steps: int | None = 2, **values: object) -> Trainer:
    torch.manual_seed(0)
    named = {key.replace("__", "."): value for key, value in values.items()}
    recipe = load_recipe(version, "nano", values=named)
    data = open_dataset()
    options = Options(CPU, max_steps=max_steps, data="demo")
    return Trainer(assemble(recipe), data.subset("train"), data.subset("validation"), options)


def fit(made: Trainer, directory: Path) -> Run:
    run = Run.create(directory / "run", made.model.recipe, {})
    made.fit(run)
    return run


def test_v13_schedule_is_the_published_one() -> None:
    config = load_recipe("v13").training
    peak, schedule = config.learning_rate, config.schedule
    assert (schedule.warmup_epochs, schedule.constant_epochs, config.epochs) == (3, 20, 60)
    assert learning_rate(config, 0) == pytest.approx(0.01 * peak)
    assert learning_rate(config, 1.5) == pytest.approx(0.505 * peak)
    assert [learning_rate(config, e) for e in (3, 10, 23)] == [peak] * 3
    assert learning_rate(config, 23 + 37 / 2) == pytest.approx((peak + 1e-6) / 2)
    assert learning_rate(config, 60) == pytest.approx(1e-6)
    assert learning_rate(config, 99) == pytest.approx(1e-6)


def test_a_plain_schedule_is_half_a_cosine() -> None:
    config = TrainingConfig(learning_rate=1.0, epochs=10, schedule=Schedule())
    rates = [learning_rate(config, e) for e in range(11)]
    assert rates == pytest.approx([(1 + math.cos(math.pi * e / 10)) / 2 for e in range(11)])


def test_v10_restarts_its_cosine_every_fifteen_epochs() -> None:
    config = load_recipe("v10").training
    rates = [learning_rate(config, e) for e in (0, 7.5, 14.999, 15, 22.5, 45)]
    assert rates == pytest.approx([1e-4, 5e-5, 0, 1e-4, 5e-5, 1e-4], abs=1e-8)


def test_each_slot_has_its_own_rate() -> None:
    scale = {"training.learning_rate_scale.heads.rg": 5.0}
    model = assemble("v13", "nano", values=scale)
    optimizer = build_optimizer(model, model.recipe.training)
    rates = set_learning_rate(optimizer, 1.0)
    assert rates == {
        "pair_stack": 3.0,
        "aux_pair_stack": 2.0,
        "denoiser": 1.0,
        "heads.rg": 5.0,
        "heads.distance": 1.0,
    }
    grouped = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in grouped} == {id(p) for p in model.parameters() if p.requires_grad}
    assert len(grouped) == len({id(p) for p in grouped})


@pytest.mark.parametrize("table", ["learning_rate_scale", "clip_norms"])
def test_a_group_that_matches_nothing_is_refused(table: str) -> None:
    model = assemble("v13", "nano", values={f"training.{table}.pair_stak": 1.0})
    with pytest.raises(RequestError, match="no such slot; did you mean 'pair_stack'"):
        build_optimizer(model, model.recipe.training)


def test_a_slot_that_no_loss_reaches_does_not_train_and_does_not_stop_training() -> None:
    made = trainer(losses__aux_dist__weight=0)
    assert made.model.wiring.idle == ("aux_pair_stack", "heads.distance")
    made._optimizer_step([[0, 1]], 1)
    assert "aux_pair_stack" not in {group["name"] for group in made.optimizer.param_groups}


def test_a_frozen_slot_passes_gradients_on() -> None:
    made = trainer("v12", denoiser__frozen=True)
    made._optimizer_step([[0, 1]], 1)
    assert "pair_stack" in {group["name"] for group in made.optimizer.param_groups}
    assert all(p.grad is None for p in made.model.denoiser.parameters())


@pytest.mark.parametrize(("version", "starved"), [("v12", True), ("v12b", False)])
def test_one_global_clip_starves_the_pair_stack_and_clips_per_module_do_not(
    version: str, starved: bool
) -> None:
    model = assemble(version, "nano")
    optimizer = build_optimizer(model, model.recipe.training)
    for group in optimizer.param_groups:
        loud = 1000.0 if group["name"] == "denoiser" else 0.5
        for parameter in group["params"]:
            parameter.grad = torch.full_like(parameter, loud / math.sqrt(_size(group["params"])))
    assert gradient_norms(optimizer)["denoiser"] == pytest.approx(1000, rel=1e-3)
    clip_gradients(optimizer, model.recipe.training)
    after = {
        group["name"]: math.sqrt(sum(float(p.grad.pow(2).sum()) for p in group["params"]))
        for group in optimizer.param_groups
    }
    assert after["denoiser"] == pytest.approx(1.0, rel=1e-3)
    assert after["pair_stack"] == pytest.approx(0.0005 if starved else 0.5, rel=1e-2)


def _size(parameters: list[torch.nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def test_the_tripwire_stirs_a_starving_slot_and_halts_a_dead_one() -> None:
    config = TripwireConfig(slots=("pair_stack",), steps=3, halt_steps=5)
    wire, generator = Tripwire(config), torch.Generator().manual_seed(0)
    parameter = torch.nn.Parameter(torch.zeros(100, 100))

    def step(norm: float) -> float:
        parameter.grad = torch.zeros_like(parameter)
        stirred = wire.check({"pair_stack": norm}, {"pair_stack": [parameter]}, generator)
        assert bool(stirred["pair_stack"]) == bool(parameter.grad.any())
        return float(parameter.grad.std())

    assert [step(0.005) for _ in range(2)] == [0, 0]
    assert step(0.02) == 0  # one healthy step, and the count begins anew
    assert [step(0.005) for _ in range(2)] == [0, 0]
    assert step(0.005) == pytest.approx(0.01, rel=0.05)
    for _ in range(4):
        step(0.0001)
    with pytest.raises(MinifoldError, match=r"pair_stack: gradient norm below 0\.001 in 5 steps"):
        step(0.0001)


def test_v12b_logs_its_tripwire_and_v12_has_none(tmp_path: Path) -> None:
    for version, watched in (("v12", []), ("v12b", ["tripwire/pair_stack"])):
        made = trainer(version)
        record = made._optimizer_step([[0]], 1)
        assert [name for name in record if name.startswith("tripwire/")] == watched


def test_training_stops_when_patience_is_out(tmp_path: Path) -> None:
    made = trainer(max_steps=None, training__patience=2)
    scores = iter([3.0, 2.0, 2.5, 2.4, 1.0])
    made._epoch = lambda epoch, run: pretend(made, epoch, next(scores))  # type: ignore[method-assign]
    made.fit(Run(tmp_path))
    assert (made.finished, made.best_epoch) == (4, 2)


def pretend(made: Trainer, epoch: int, score: float) -> None:
    made.finished = epoch
    if score < made.best:
        made.best, made.best_epoch = score, epoch


def half_way(objective: Objective, batch: ProteinBatch, generators: Generators) -> Noised:
    return Noised(0.7 * Truth.of(batch).ca, torch.full((len(batch),), 300))


def test_accumulated_batches_equal_one_large_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uneven batches too: 3 + 2 proteins weigh as 5 do."""
    gradients = []
    for groups in ([[0, 3, 8, 9, 10]], [[0, 3, 8], [9, 10]]):
        made = trainer(training__unconditional=0, training__self_conditioning=0)
        monkeypatch.setattr(Objective, "noised", half_way)
        monkeypatch.setattr(made.optimizer, "step", lambda: None)
        monkeypatch.setattr(optim.nn.utils, "clip_grad_norm_", lambda parameters, limit: None)
        made._optimizer_step(groups, 1)
        gradients.append([p.grad for p in made.model.parameters() if p.grad is not None])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


def test_the_average_follows_its_closed_form_and_swaps_back() -> None:
    layer = torch.nn.Linear(2, 2)
    start = layer.weight.detach().clone()
    ema = EMA(layer, 0.9)
    expected = start.clone()
    for n in range(1, 4):
        with torch.no_grad():
            layer.weight.add_(1.0)
        ema.update(layer)
        decay = min(0.9, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
    torch.testing.assert_close(ema.tensors["weight"], expected)
    with ema.applied(layer):
        torch.testing.assert_close(layer.weight.detach(), expected)
    torch.testing.assert_close(layer.weight.detach(), start + 3)


def test_validation_is_repeatable_and_its_bins_average_to_the_whole(tmp_path: Path) -> None:
    made = trainer()
    first, again = (
        validate(made.model, made.objective, made._validation_batches(), 1) for _ in range(2)
    )
    assert first == again
    alone = (made._batch(made.validation_set, [i]) for i in range(len(made.validation_set)))
    assert validate(made.model, made.objective, alone, 1) == pytest.approx(first, rel=1e-4)
    for term in made.model.recipe.active_losses:
        bins = [value for key, value in first.items() if key.startswith(f"val/{term}@")]
        assert len(bins) == 4
        assert first[f"val/{term}"] == pytest.approx(sum(bins) / 4)
    weights = {name: term.weight_at(1) for name, term in made.model.recipe.active_losses.items()}
    assert first["val/total"] == pytest.approx(
        sum(w * first[f"val/{n}"] for n, w in weights.items())
    )
    final = {name: term.final_weight for name, term in made.model.recipe.active_losses.items()}
    assert first["val/total_fixed"] == pytest.approx(
        sum(w * first[f"val/{n}"] for n, w in final.items())
    )


def test_a_run_leaves_what_the_contract_names(tmp_path: Path) -> None:
    made = trainer(max_steps=6)
    run = fit(made, tmp_path).directory
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert rows[-1]["step"] == "6"
    terms = [*made.model.recipe.active_losses, "total"]
    for column in [
        *(f"{part}/{term}" for part in ("train", "val") for term in terms),
        *(f"val/{term}@t500-750" for term in terms[:-1]),
        "val/total_fixed",
        *(f"{what}/{slot}" for what in ("lr", "grad_norm") for slot in ("pair_stack", "heads.rg")),
    ]:
        assert math.isfinite(float(rows[-1][column])), column
    steps = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    assert [s["step"] for s in steps] == list(range(1, 7))
    assert json.loads((run / "environment.json").read_text())["schema"] == 1
    assert load_recipe(run / "recipe.toml").to_tables() == made.model.recipe.to_tables()
    header = read_header(run / "last.safetensors")
    assert (header.step, header.epoch, header.encoder) == (6, 2, "random")
    model, _ = load_model(run / "last.safetensors")
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, made.ema.tensors[name], atol=0, rtol=0)


def test_the_best_weights_are_those_of_the_lowest_fixed_total(tmp_path: Path) -> None:
    made = trainer(max_steps=12)
    run = fit(made, tmp_path)
    rows = list(csv.DictReader((run.directory / "metrics.csv").open()))
    best = min(rows, key=lambda row: float(row["val/total_fixed"]))
    assert read_header(run.best).epoch == int(best["epoch"])


def test_the_same_seed_trains_the_same_weights(tmp_path: Path) -> None:
    tensors = []
    for name in ("a", "b"):
        made = trainer()
        fit(made, tmp_path / name)
        tensors.append(made.ema.tensors)
    for key, tensor in tensors[0].items():
        torch.testing.assert_close(tensor, tensors[1][key], atol=0, rtol=0)


def test_a_loss_that_is_not_finite_names_the_protein_and_the_term(tmp_path: Path) -> None:
    made = trainer()
    with torch.no_grad():
        made.model.heads["rg"].mlp[-1].bias.fill_(math.inf)
    with pytest.raises(MinifoldError, match=re.escape("1zaa.finger1 (rg)")):
        made._losses(made._batch(made.train_set, [made.train_set.names.index("1zaa.finger1")]), 1)


def test_a_parameter_that_no_loss_reaches_stops_the_first_step(tmp_path: Path) -> None:
    made = trainer()
    made.model.denoiser.register_parameter("forgotten", torch.nn.Parameter(torch.zeros(2)))
    made.optimizer = build_optimizer(made.model, made.config)
    with pytest.raises(
        MinifoldError, match=r"'denoiser.forgotten' is trainable but no loss reaches it"
    ):
        fit(made, tmp_path)


@pytest.mark.parametrize("where", ["step", "validation"])
def test_an_interruption_saves_the_averaged_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    made = trainer(max_steps=50)

    def stop(*arguments: object) -> None:
        if made.step == 8:
            raise KeyboardInterrupt

    if where == "step":
        made.on_step = stop
    else:
        monkeypatch.setattr("minifold_core.training.trainer.validate", lambda *a: stop() or {})
    with pytest.raises(KeyboardInterrupt):
        fit(made, tmp_path)
    header = read_header(tmp_path / "run" / "last.safetensors")
    assert (header.step, header.epoch, header.metrics) == (8, 1, {})
    saved = load_file(tmp_path / "run" / "last.safetensors")
    raw = made.model.state_dict()
    assert all(torch.equal(saved[name], tensor) for name, tensor in made.ema.tensors.items())
    assert any(not torch.equal(saved[name], raw[name]) for name in raw)
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]


def test_a_run_directory_in_use_is_protected(tmp_path: Path) -> None:
    recipe = load_recipe("v13", "nano")
    Run.create(tmp_path / "run", recipe, {})
    with pytest.raises(ProtectedError, match="exists and is not empty"):
        Run.create(tmp_path / "run", recipe, {})


@pytest.mark.parametrize("unconditional", [0.0, 1.0])
def test_unconditional_batches_see_no_sequence(tmp_path: Path, unconditional: float) -> None:
    made = trainer(training__unconditional=unconditional)
    seen = []
    made.model.encoder.register_forward_pre_hook(
        lambda module, args, ports: seen.append(ports["tokens"]), with_kwargs=True
    )
    made._losses(made._batch(made.train_set, [0, 4]), 1)
    residues = seen[0][seen[0] != 0]
    assert bool((residues == 1).all()) == (unconditional == 1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_self_conditioning_feeds_the_first_prediction_back(tmp_path: Path, share: float) -> None:
    made = trainer(training__self_conditioning=share)
    fed = []
    made.model.denoiser.register_forward_pre_hook(
        lambda module, args, ports: fed.append(ports["coords_prev"]), with_kwargs=True
    )
    made._losses(made._batch(made.train_set, [0, 4]), 1)
    assert [f is not None for f in fed] == ([False, True] if share else [False])
