from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from minifold_core.interfaces import Features
from minifold_core.testing import draw, perturb
from minifold_pairs.axial import AxialPairStack
from minifold_pairs.config import (
    AxialPairStackConfig,
    PairStackConfig,
    TrianglePairStackConfig,
)
from minifold_pairs.stack import BlockPairStack
from minifold_pairs.triangle import TrianglePairStack

D_SINGLE = 16
NANO = {"d_pair": 12, "blocks": 2, "heads": 2, "head_dim": 8, "opm_hidden": 8}
STACKS: dict[str, tuple[type, PairStackConfig]] = {
    "axial": (AxialPairStack, AxialPairStackConfig(**NANO)),
    "triangle": (TrianglePairStack, TrianglePairStackConfig(**NANO, tri_mul_dim=8)),
}


def pair_inputs(lengths: tuple[int, ...] = (7, 11, 4)) -> Features:
    needs = PairStackConfig().needs()
    return draw(needs, {"single": D_SINGLE}, lengths, dtype=torch.float32)


def build(name: str) -> BlockPairStack:
    torch.manual_seed(0)
    implementation, config = STACKS[name]
    stack = implementation(config, {"single": D_SINGLE})
    perturb(stack)
    return stack


@pytest.fixture(params=sorted(STACKS))
def stack(request: pytest.FixtureRequest) -> BlockPairStack:
    return build(request.param)


def parameters(implementation: type, config: PairStackConfig) -> int:
    with torch.device("meta"):
        module = implementation(config, {"single": 128})
    return sum(p.numel() for p in module.parameters())


def test_parameter_counts() -> None:
    v12 = parameters(AxialPairStack, AxialPairStackConfig())
    assert v12 == 837_888 < 900_000
    small = AxialPairStackConfig(d_pair=64, ffn_multiplier=4, opm_hidden=32)
    aux = parameters(AxialPairStack, small)
    assert aux == 474_880
    assert 450_000 < aux < 550_000
    v13 = parameters(TrianglePairStack, TrianglePairStackConfig())
    assert v13 == 5_209_728
    assert 5_000_000 < v13 < 5_400_000


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_huge_features_stay_finite_in_half_precision(
    stack: BlockPairStack, dtype: torch.dtype
) -> None:
    inputs = pair_inputs()
    with torch.autocast("cpu", dtype=dtype):
        pair = stack(**inputs | {"single": 1e4 * inputs["single"]})["pair"]
    pair.float().pow(2).sum().backward()
    assert pair.isfinite().all()
    assert all(weight.grad.isfinite().all() for weight in stack.parameters())


def test_half_precision_is_near_single_precision(stack: BlockPairStack) -> None:
    inputs = pair_inputs()
    exact = stack(**inputs)["pair"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = stack(**inputs)["pair"].float()
    assert (rough - exact).abs().mean() < 0.03 * exact.abs().mean()


def test_contacts_are_optional_and_used(stack: BlockPairStack) -> None:
    inputs = pair_inputs()
    without = inputs | {"contacts": None}
    zero = inputs | {"contacts": torch.zeros_like(inputs["contacts"])}
    torch.testing.assert_close(stack(**without)["pair"], stack(**zero)["pair"])
    assert not torch.allclose(stack(**inputs)["pair"], stack(**zero)["pair"], atol=1e-2)


def test_breaks_in_the_chain_matter_and_the_first_number_does_not(stack: BlockPairStack) -> None:
    inputs = pair_inputs()
    broken = torch.arange(inputs["mask"].shape[1]).expand_as(inputs["mask"]).clone()
    shifted = broken + 1000
    broken[:, 3:] += 5
    pair = {
        name: stack(**(inputs | {"residue_index": index}))["pair"]
        for name, index in {"broken": broken, "shifted": shifted, "plain": shifted - 1000}.items()
    }
    torch.testing.assert_close(pair["shifted"], pair["plain"])
    assert not torch.allclose(pair["broken"], pair["plain"], atol=1e-2)


def test_only_log_scaled_positions_tell_long_separations_apart() -> None:
    def at(separation: int, name: str) -> torch.Tensor:
        inputs = pair_inputs((2,)) | {"residue_index": torch.tensor([[0, separation]])}
        return build(name)(**inputs)["pair"]

    torch.testing.assert_close(at(33, "axial"), at(60, "axial"), rtol=0, atol=0)
    assert not torch.allclose(at(31, "axial"), at(33, "axial"), atol=1e-2)
    assert not torch.allclose(at(33, "triangle"), at(60, "triangle"), atol=1e-2)
    torch.testing.assert_close(at(512, "triangle"), at(900, "triangle"), rtol=0, atol=0)


def test_checkpointing_recomputes_in_training_alone(stack: BlockPairStack) -> None:
    calls = []
    stack.blocks[0].register_forward_pre_hook(lambda *_: calls.append(1))
    for checkpointing, training, expected in ((False, True, 1), (True, True, 2), (True, False, 1)):
        stack.checkpointing = checkpointing
        stack.train(training)
        calls.clear()
        stack(**pair_inputs())["pair"].sum().backward()
        assert len(calls) == expected


def test_a_new_stack_starts_from_its_initial_features() -> None:
    for implementation, config in STACKS.values():
        fresh = implementation(config, {"single": D_SINGLE})
        shallow = implementation(config.model_copy(update={"blocks": 0}), {"single": D_SINGLE})
        shallow.load_state_dict(
            {k: v for k, v in fresh.state_dict().items() if not k.startswith("blocks.")}
        )
        inputs = pair_inputs()
        torch.testing.assert_close(fresh(**inputs), shallow(**inputs))


@pytest.mark.parametrize(
    "wrong",
    [
        {"d_pair": 0},
        {"blocks": -1},
        {"widths": 3},
        {"sinusoidal": 31},
        {"rpe_bins": 9},
        {"rpe_linear": 600},
    ],
)
def test_impossible_configs_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        TrianglePairStackConfig(**wrong)
