"""The layers of the pair stacks against plain reference computations in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import layer_norm, scaled_dot_product_attention

from minifold_core.testing import perturb
from minifold_pairs.attention import AxialAttention, attend_explicitly, key_bias
from minifold_pairs.outer import OuterProductMean
from minifold_pairs.positions import LinearPositions, LogPositions, log_bins
from minifold_pairs.triangle_update import LIMIT, TriangleUpdate

MASK = torch.arange(9) < torch.tensor([6, 9, 3])[:, None]
PAIR_MASK = MASK[:, :, None] & MASK[:, None, :]
D = 10


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair_features(scale: float = 1.0) -> Tensor:
    b, length = MASK.shape
    return scale * torch.randn(b, length, length, D, generator=rng(), dtype=torch.float64)


def test_outer_product_equals_the_naive_one_and_never_builds_it() -> None:
    hidden, length = 8, MASK.shape[1]
    outer = OuterProductMean(16, D, hidden).double()
    perturb(outer)
    single = torch.randn(*MASK.shape, 16, generator=rng(), dtype=torch.float64)
    sizes: list[int] = []

    def note(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        factored = outer(single, MASK)
    z = outer.norm(single) * MASK[..., None]
    product = torch.einsum("bic,bjd->bijcd", outer.left(z), outer.right(z))
    naive = torch.einsum("bijcd,pcd->bijp", product, outer.weight)
    torch.testing.assert_close(factored, naive)
    assert max(sizes) <= len(MASK) * length * max(D, length) * hidden < product.numel()


def test_outer_product_stays_in_single_precision() -> None:
    outer = OuterProductMean(16, D, 8)
    single = torch.randn(*MASK.shape, 16, generator=rng())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = outer(single, MASK)
    torch.testing.assert_close(under_autocast, outer(single, MASK), rtol=0, atol=0)


@pytest.mark.parametrize("incoming", [False, True])
def test_triangle_update_equals_the_einsum(incoming: bool) -> None:
    hidden = 6
    update = TriangleUpdate(D, hidden, incoming=incoming).double()
    perturb(update)
    pair = pair_features()
    z = update.norm(pair)
    operands = update.operands(z)
    a, b, gate_a, gate_b = operands.split(hidden, -1)
    a = a * gate_a.sigmoid() * PAIR_MASK[..., None]
    b = b * gate_b.sigmoid() * PAIR_MASK[..., None]
    equation = "bkid,bkjd->bijd" if incoming else "bikd,bjkd->bijd"
    sums = torch.einsum(equation, a, b)
    expected = update.out(update.norm_out(sums)) * update.gate(z).sigmoid()
    torch.testing.assert_close(update(pair, PAIR_MASK), expected)


@pytest.mark.parametrize("incoming", [False, True])
def test_triangle_ignores_padding(incoming: bool) -> None:
    update = TriangleUpdate(D, 6, incoming=incoming).double()
    perturb(update)
    pair = pair_features()
    junk = pair.masked_fill(~PAIR_MASK[..., None], 7.0)
    inside = PAIR_MASK[..., None].expand_as(pair)
    torch.testing.assert_close(update(pair, PAIR_MASK)[inside], update(junk, PAIR_MASK)[inside])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("incoming", [False, True])
def test_triangle_sums_are_bounded_where_half_precision_overflows(
    incoming: bool, dtype: torch.dtype
) -> None:
    update = TriangleUpdate(D, 6, incoming=incoming)
    perturb(update)
    with torch.no_grad():
        update.operands.weight.mul_(1e3)
    seen: list[Tensor] = []
    update.norm_out.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    pair = pair_features(1e4).float().requires_grad_()
    with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
        result = update(pair, PAIR_MASK)
    result.float().sum().backward()
    assert seen[0].dtype == torch.float32
    assert seen[0].abs().max() == LIMIT
    assert result.isfinite().all()
    assert pair.grad is not None
    assert pair.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in update.parameters())


def naive_row_attention(layer: AxialAttention, pair: Tensor, mask: Tensor) -> Tensor:
    z = layer_norm(pair, (D,), layer.norm.weight, layer.norm.bias)
    q, k, v = (
        part.unflatten(-1, (layer.heads, -1)) for part in (z @ layer.qkv.weight.T).chunk(3, -1)
    )
    logits = torch.einsum("bijhc,bikhc->bihjk", q, k) / q.shape[-1] ** 0.5
    logits = logits.masked_fill(~mask[:, None, None, None, :], float("-inf"))
    mixed = torch.einsum("bihjk,bikhc->bijhc", logits.softmax(-1), v)
    return layer.out(mixed.flatten(-2))


def test_axial_attention_equals_the_einsum_along_both_axes() -> None:
    row = AxialAttention(D, 3, 4, columns=False).double()
    perturb(row)
    column = AxialAttention(D, 3, 4, columns=True).double()
    column.load_state_dict(row.state_dict())
    pair = pair_features()
    torch.testing.assert_close(row(pair, MASK), naive_row_attention(row, pair, MASK))
    turned = row(pair.transpose(1, 2), MASK).transpose(1, 2)
    torch.testing.assert_close(column(pair, MASK), turned)
    assert not torch.allclose(column(pair, MASK), row(pair, MASK))


def test_explicit_attention_equals_the_fused_kernel() -> None:
    q, k, v = torch.randn(3, len(MASK), 2, MASK.shape[1], 4, generator=rng())
    bias = key_bias(MASK, q)[:, None, None]
    fused = scaled_dot_product_attention(q, k, v, attn_mask=bias)
    torch.testing.assert_close(attend_explicitly(q, k, v, bias), fused)


def test_log_bins() -> None:
    separation = torch.arange(1000)
    bins = log_bins(separation, bins=128, linear=8, reach=512)
    assert bins[:9].tolist() == list(range(9))
    assert bins.diff().ge(0).all()
    assert bins[490] < bins[512] == 127
    assert bins[512:].eq(127).all()
    # Every separation up to 32 stands alone; further out a bin spans some 3.5 % of it.
    assert bins[:34].diff().ge(1).all()
    assert bins[33] == bins[34] < bins[60]
    assert bins.unique().numel() == 128 - 16


def test_log_positions_know_direction_and_distance() -> None:
    positions = LogPositions(D, bins=128, linear=8, reach=512, sinusoidal=32)
    table = positions.table().detach()
    assert table.shape == (1025, D)
    assert not torch.allclose(table, table.flip(0))
    assert torch.cdist(table, table).fill_diagonal_(1).min() > 1e-4
    up, down = positions.signed_bins[:512], positions.signed_bins[512:]
    assert not set(up.tolist()) & set(down.tolist())
    assert int(positions.signed_bins.max()) == 128 + 127


@pytest.mark.parametrize(
    "positions",
    [LinearPositions(D, 32), LogPositions(D, bins=24, linear=4, reach=64, sinusoidal=8)],
)
def test_positions_are_those_of_the_clipped_signed_separation(
    positions: LinearPositions | LogPositions,
) -> None:
    index = torch.tensor([[0, 1, 5, 500]])
    features = positions(index)[0]
    table, reach = positions.table(), positions.reach
    torch.testing.assert_close(features[0, 2], table[reach + 5])
    torch.testing.assert_close(features[2, 0], table[reach - 5])
    torch.testing.assert_close(features[1, 3], table[2 * reach])
    torch.testing.assert_close(features[3, 0], table[0])
    torch.testing.assert_close(positions(index + 77)[0], features)
