"""Time the pair stack's layers against plain formulations of the same thing.

    python benchmarks/pairs.py [--rounds 5] [--length 125] [--batch 4]

Forward and backward in float32 at full size, medians of interleaved rounds, once with torch's
default matrix products and once with ``torch.set_float32_matmul_precision("medium")``. The rate of
one large matrix product, measured in the same rounds, is the ceiling. If the package
``triangle-multiplicative-module`` is installed, its outgoing update is timed too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils.flop_counter import FlopCounterMode

from minifold_core.cli.platform import keep_freed_memory
from minifold_pairs.attention import AxialAttention
from minifold_pairs.config import TrianglePairStackConfig
from minifold_pairs.outer import OuterProductMean
from minifold_pairs.triangle import EnhancedPairBlock
from minifold_pairs.triangle_update import TriangleUpdate

Work = Callable[[], Tensor]


def plain_outer(layer: OuterProductMean, single: Tensor) -> Tensor:
    """The outer product in full, then its projection."""
    z = layer.norm(single)
    product = torch.einsum("bic,bjd->bijcd", layer.left(z), layer.right(z))
    return product.flatten(-2) @ layer.weight.flatten(1).T


def plain_triangle(layer: TriangleUpdate, pair: Tensor) -> Tensor:
    """Operands channel last, the sum as an einsum."""
    z = layer.norm(pair)
    a, b, gate_a, gate_b = layer.operands(z).chunk(4, -1)
    sums = torch.einsum("bikd,bjkd->bijd", a * gate_a.sigmoid(), b * gate_b.sigmoid())
    return layer.out(layer.norm_out(sums)) * layer.gate(z).sigmoid()


def fused_axial(layer: AxialAttention, pair: Tensor) -> Tensor:
    """Row attention by torch's fused kernel."""
    b, length = pair.shape[:2]
    qkv = layer.qkv(layer.norm(pair)).view(b * length, length, 3, layer.heads, -1)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    mixed = scaled_dot_product_attention(q, k, v)
    return layer.out(mixed.transpose(1, 2).flatten(2)).view_as(pair)


def workloads(batch: int, length: int) -> dict[str, Work]:
    torch.manual_seed(0)
    config = TrianglePairStackConfig()
    single = torch.randn(batch, length, 128, requires_grad=True)
    pair = torch.randn(batch, length, length, config.d_pair, requires_grad=True)
    mask = torch.ones(batch, length, dtype=torch.bool)
    pair_mask = mask[:, :, None] & mask[:, None, :]
    outer = OuterProductMean(128, config.d_pair, 32)
    wide = OuterProductMean(128, config.d_pair, config.opm_hidden)
    triangle = TriangleUpdate(config.d_pair, config.tri_mul_dim, incoming=False)
    axial = AxialAttention(config.d_pair, config.heads, config.head_dim, columns=False)
    block = EnhancedPairBlock(config)
    square = torch.randn(4096, 4096)
    works: dict[str, Work] = {
        "matrix product 4096 (forward)": lambda: square @ square,
        "outer product, hidden 32: plain": lambda: plain_outer(outer, single),
        "outer product, hidden 32: factored": lambda: outer(single, mask),
        "outer product, hidden 128: factored": lambda: wide(single, mask),
        "triangle: plain": lambda: plain_triangle(triangle, pair),
        "triangle: channel first": lambda: triangle(pair, pair_mask),
        "row attention: fused kernel": lambda: fused_axial(axial, pair),
        "row attention: explicit products": lambda: axial(pair, mask),
        "pair block": lambda: block(pair, mask, pair_mask),
    }
    try:
        from triangle_multiplicative_module import TriangleMultiplicativeModule
    except ImportError:
        return works
    peer = TriangleMultiplicativeModule(
        dim=config.d_pair, hidden_dim=config.tri_mul_dim, mix="outgoing"
    )
    return works | {"triangle: triangle-multiplicative-module": lambda: peer(pair, mask=pair_mask)}


def run(work: Work) -> None:
    result = work()
    if result.requires_grad:
        result.backward(torch.ones_like(result))


def seconds(works: dict[str, Work], rounds: int) -> dict[str, float]:
    """Median of ``rounds`` runs of each, taken in turn, after one run to warm up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            start = time.perf_counter()
            run(work)
            if turn:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


def gflop(work: Work) -> float:
    with FlopCounterMode(display=False) as counter:
        run(work)
    return counter.get_total_flops() / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--length", type=int, default=125)
    parser.add_argument("--batch", type=int, default=4)
    options = parser.parse_args()
    keep_freed_memory()
    works = workloads(options.batch, options.length)
    cost = {name: gflop(work) for name, work in works.items()}
    print(f"batch {options.batch}, L={options.length}, {torch.get_num_threads()} threads, fp32")
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        print(f"\nfloat32 matmul precision {precision}\n{'':44}  GFLOP      ms  GFLOP/s")
        for name, taken in seconds(works, options.rounds).items():
            rate = cost[name] / taken
            print(f"{name:44}{cost[name]:7.1f} {taken * 1e3:7.0f} {rate:8.0f}")


if __name__ == "__main__":
    main()
