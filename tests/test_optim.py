"""Rates, groups, clipping, the tripwire and the moving average."""

from __future__ import annotations

import math

import pytest
import torch

from minifold_core.assembly import assemble
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.recipe import load_recipe
from minifold_core.recipe_schema import Schedule, TrainingConfig, TripwireConfig
from minifold_core.training.optim import (
    EMA,
    build_optimizer,
    clip_gradients,
    gradient_norms,
    learning_rate,
    set_learning_rate,
)
from minifold_core.training.tripwire import Tripwire
from training_helpers import batch_of, trainer


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


def test_a_frozen_slot_passes_gradients_on() -> None:
    made = trainer("v12", denoiser__frozen=True)
    made.stepper.take([batch_of(made, [0, 1])], 2, 1, 1e-3)
    assert "pair_stack" in made.stepper.slots
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
