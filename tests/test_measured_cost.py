"""What work costs: counts against arithmetic by hand, memory against known sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from minifold_core.comparison.cost import SAMPLING, TRAINING, CostPlan, measure_cost, works_of
from minifold_core.comparison.counting import count_flops, peak_memory, tensor_bytes
from minifold_core.data.dataset import open_dataset
from weights_files import perturbed

CPU = torch.device("cpu")
CHAINS = list(open_dataset())
MIB = 2**20


def test_products_are_counted_however_they_are_written() -> None:
    x, layer = torch.randn(7, 10, 30, requires_grad=True), nn.Linear(30, 20)
    product = 2 * 7 * 10 * 30 * 20
    assert count_flops(lambda: layer(x)) == product
    assert count_flops(lambda: layer(x).sum().backward()) == 3 * product
    assert count_flops(lambda: torch.einsum("bli,oi->blo", x, layer.weight)) == product
    with torch.inference_mode():
        assert count_flops(lambda: torch.matmul(x, layer.weight.T)) == product
    q = torch.randn(2, 4, 10, 8, requires_grad=True)
    attention = 2 * (2 * 2 * 4 * 10 * 10 * 8)
    fused = nn.functional.scaled_dot_product_attention
    assert count_flops(lambda: fused(q, q, q)) == attention
    assert count_flops(lambda: fused(q, q, q).sum().backward()) == 3 * attention


def test_recomputed_activations_are_counted_again() -> None:
    block = nn.Sequential(nn.Linear(30, 30), nn.Linear(30, 30))
    x = torch.randn(10, 30, requires_grad=True)

    def work() -> None:
        torch.utils.checkpoint.checkpoint(block, x, use_reentrant=False).sum().backward()

    # Three products a layer, and the first once more: the second's output is not needed.
    assert count_flops(work) == 7 * (2 * 10 * 30 * 30)


def test_peak_memory_is_that_of_known_allocations(capfd: pytest.CaptureFixture[str]) -> None:
    there = torch.ones(MIB // 4)

    def work() -> None:
        first = there + 1  # 1 MiB
        second = torch.cat([first, first])  # and 2
        del first
        second.add_(1)
        third = second + 1  # 2 and 2 without the first: the fullest moment
        del second, third

    peak_memory(work, CPU)  # the first trace may set things up
    assert peak_memory(work, CPU) == pytest.approx(4 * MIB, abs=4096)
    assert capfd.readouterr().err == ""
    x = torch.ones(2**18, requires_grad=True)

    def backward() -> None:
        (x.exp().exp().sum()).backward()

    # Two exponentials are kept for the backward pass, which needs one more and the gradient.
    assert 3 * MIB <= peak_memory(backward, CPU) <= 4 * MIB + 4096
    assert tensor_bytes([there, there.view(2, -1), x]) == 2 * MIB


def test_costs_of_two_models_are_measured_in_turns() -> None:
    values = {"denoiser.layers": 1, "pair_stack.blocks": 1}
    small = perturbed("v12b", **values)
    large = perturbed("v12b", **values | {"denoiser.layers": 2})
    contact = perturbed("contact")
    plan = CostPlan(length=30, proteins=2, rounds=2)
    sampling = small.recipe.sampling.model_copy(update={"steps": 4})
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    models = [("small", small, sampling), ("large", large, sampling), ("contact", contact, None)]
    told: list[int] = []
    costs = measure_cost(models, CHAINS, plan, CPU, on_work=told.append)
    assert sum(told) == works_of([each for *_, each in models], plan) == 15
    assert [(each.label, each.work) for each in costs] == [
        ("small", TRAINING),
        ("small", SAMPLING),
        ("large", TRAINING),
        ("large", SAMPLING),
        ("contact", TRAINING),
    ]
    steps = {each.label: each for each in costs if each.work == TRAINING}
    samples = {each.label: each for each in costs if each.work == SAMPLING}
    for costs_of in (steps, samples):
        assert costs_of["large"].flops > costs_of["small"].flops > 0
        assert costs_of["large"].held_bytes > costs_of["small"].held_bytes
        assert costs_of["small"].peak_bytes > costs_of["small"].held_bytes
        assert costs_of["small"].ratio.median == 1
    assert steps["small"].about == "2 chains of 31, 32 residues, fp32"
    # Weights, their average and two moments of what trains, which leaves out the encoder.
    weights = sum(p.numel() for p in small.parameters()) * 4
    moments = sum(p.numel() for p in small.parameters() if p.requires_grad) * 8
    assert steps["small"].held_bytes == pytest.approx(2 * weights + moments, rel=0.01)
    # Measuring trains nothing.
    assert all(torch.equal(before[name], tensor) for name, tensor in small.state_dict().items())


def test_a_step_is_the_mean_of_those_with_and_without_self_conditioning() -> None:
    def flops(share: float) -> int:
        values = {"training.self_conditioning": share, "training.noise_copies": 1}
        model = perturbed("v15", **values)
        plan = CostPlan(length=30, proteins=1, rounds=1)
        (cost,) = measure_cost([("v15", model, None)], CHAINS, plan, CPU)
        return cost.flops

    some, always = flops(0.25), flops(1.0)
    assert always > 1.1 * some
    assert flops(0.5) == pytest.approx((2 * some + always) / 3, abs=2)
