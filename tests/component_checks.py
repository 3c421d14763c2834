"""What the tests of encoders and pair stacks share: inputs, and properties that all keep."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from minifold_core.interfaces import Component, Features
from minifold_core.residues import FIRST_AMINO_ACID, PAD, VOCABULARY_SIZE

LENGTHS = (7, 11, 4)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def perturb(module: nn.Module, scale: float = 0.3) -> nn.Module:
    """Move every weight off its initial value: zero-initialised layers hide what is behind them."""
    generator = rng(1)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.add_(scale * noise / max(parameter.shape[-1], 4) ** 0.5)
    return module


def mask_of(lengths: tuple[int, ...]) -> Tensor:
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def sequence_inputs(lengths: tuple[int, ...] = LENGTHS) -> Features:
    """Random tokens, with one residue missing from the chain after the second."""
    mask = mask_of(lengths)
    tokens = torch.randint(FIRST_AMINO_ACID, VOCABULARY_SIZE, mask.shape, generator=rng())
    index = torch.arange(mask.shape[1])
    return {
        "tokens": tokens.masked_fill(~mask, PAD),
        "mask": mask,
        "residue_index": (index + (index >= 2)).expand(mask.shape).contiguous(),
    }


def pair_inputs(d_single: int, lengths: tuple[int, ...] = LENGTHS) -> Features:
    """What a pair stack needs, with junk where there is padding."""
    sequence = sequence_inputs(lengths)
    b, length = sequence["mask"].shape
    contacts = torch.rand(b, length, length, generator=rng(2))
    return {
        "single": torch.randn(b, length, d_single, generator=rng(3)),
        "contacts": (contacts + contacts.transpose(1, 2)) / 2,
        "mask": sequence["mask"],
        "residue_index": sequence["residue_index"],
    }


def to_float64(features: Features) -> Features:
    return {k: v.double() if v.is_floating_point() else v for k, v in features.items()}


def rows(features: Features, order: list[int]) -> Features:
    return {k: v[order] for k, v in features.items()}


def crop(x: Tensor, length: int, axes: int) -> Tensor:
    """The first ``length`` residues along the ``axes`` residue axes that follow the batch's."""
    return x[(slice(None),) + (slice(length),) * axes]


def axes_of(name: str) -> int:
    return 2 if name in ("pair", "contacts") else 1


def assert_padding_and_order_change_nothing(component: Component, features: Features) -> None:
    """In float64: each chain alone, and the batch reversed, give what the batch gives."""
    component.double().eval()
    features = to_float64(features)
    together = component(**features)
    order = list(reversed(range(len(features["mask"]))))
    swapped = component(**rows(features, order))
    for name, value in together.items():
        torch.testing.assert_close(swapped[name], value[order], rtol=0, atol=1e-10)
    for i, length in enumerate(features["mask"].sum(1).tolist()):
        one = rows(features, [i])
        one = {name: crop(value, length, axes_of(name)) for name, value in one.items()}
        for name, value in component(**one).items():
            axes = axes_of(name)
            inside = crop(together[name][i : i + 1], length, axes)
            torch.testing.assert_close(inside, value, rtol=0, atol=1e-10)
            assert together[name][i, length:].eq(0).all()
            if axes == 2:
                assert together[name][i, :, length:].eq(0).all()


def assert_finite_both_ways(
    component: Component, features: Features, loss: Callable[[Features], Tensor] | None = None
) -> None:
    """Outputs and the gradients of all weights are finite, and no weight is without gradient."""
    component.zero_grad()
    given = component(**features)
    assert all(value.isfinite().all() for value in given.values())
    total = loss(given) if loss else sum(value.float().pow(2).sum() for value in given.values())
    total.backward()
    for name, parameter in component.named_parameters():
        assert parameter.grad is not None, f"{name} has no gradient"
        assert parameter.grad.isfinite().all(), f"{name} has a gradient that is not finite"
