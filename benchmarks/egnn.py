"""Time and memory of one full-size EGNN layer, beside the plain form, and of a full-size step.

Run ``OMP_NUM_THREADS=1 python benchmarks/egnn.py``: on a busy machine several threads wait for each
other. Runs are interleaved, so that a busy machine slows all of them alike. With ``pip install
egnn-pytorch`` that package's layer is measured too, with messages as wide as ours; the hidden
layer of its message network is twice as wide as everything that a message reads.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from importlib.util import find_spec

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from minifold_core.cli.platform import choose_device
from minifold_egnn.config import EGNNDenoiserConfig
from minifold_egnn.denoiser import EGNNDenoiser
from minifold_egnn.layer import EGNNLayer, mean_weights
from rounds import PLAIN, compare

BATCH, LENGTH, SINGLE, PAIR = 4, 125, 128, 128
CONFIG = EGNNDenoiserConfig()
ROUNDS = 5


class PlainLayer(EGNNLayer):
    """The message network as it is written: all that a message reads, joined for every pair."""

    def _first(self, features: Tensor, pair: Tensor, distances: Tensor) -> Tensor:
        wide = (*pair.shape[:3], features.shape[-1])
        receiver = features[:, :, None].expand(wide)
        sender = features[:, None].expand(wide)
        joined = torch.cat([receiver, sender, pair, distances], -1)
        of_residues = self.from_residues.weight.chunk(2)
        weight = torch.cat([*of_residues, self.from_pair.weight, self.from_distances.weight], 1)
        return F.linear(joined, weight, self.from_pair.bias)


def inputs() -> tuple[Tensor, ...]:
    return (
        torch.randn(BATCH, LENGTH, CONFIG.d_model, requires_grad=True),
        torch.randn(BATCH, LENGTH, 3, requires_grad=True),
        torch.randn(BATCH, CONFIG.d_time),
        torch.randn(BATCH, LENGTH, LENGTH, PAIR, requires_grad=True),
        torch.rand(BATCH, LENGTH, LENGTH, 2),
        mean_weights(torch.ones(BATCH, LENGTH, dtype=torch.bool), torch.float32),
    )


def lucidrains() -> Callable[[], Tensor]:
    from egnn_pytorch import EGNN

    features, coords, _, pair, known, _ = inputs()
    edges = torch.cat([pair, known], -1)
    layer = EGNN(dim=CONFIG.d_model, edge_dim=PAIR + 2, m_dim=CONFIG.d_edge, norm_coors=True)
    return lambda: torch.cat([x.flatten() for x in layer(features, coords, edges)])


def layers() -> Table:
    """Forward and backward of one layer in its forms."""
    fast, plain = (form(CONFIG, PAIR, last=False) for form in (EGNNLayer, PlainLayer))
    plain.load_state_dict(fast.state_dict())
    arguments = inputs()

    def of(layer: EGNNLayer) -> Callable[[], Tensor]:
        return lambda: torch.cat([x.float().flatten() for x in layer(*arguments)])

    forwards = {"minifold": of(fast), PLAIN: of(plain)}
    if find_spec("egnn_pytorch"):
        forwards["egnn-pytorch"] = lucidrains()
    return compare(f"EGNN layer, batch {BATCH}, L={LENGTH}", forwards, ROUNDS)


def step(length: int, checkpointing: bool) -> float:
    """Seconds of forward and backward of the whole denoiser for one chain, the second time."""
    denoiser = EGNNDenoiser(CONFIG, {"single": SINGLE, "pair": PAIR}).train()
    denoiser.checkpointing = checkpointing
    single, pair = torch.randn(1, length, SINGLE), torch.randn(1, length, length, PAIR)
    mask, coords = torch.ones(1, length, dtype=torch.bool), torch.randn(1, length, 3)
    for _ in range(2):
        start = time.perf_counter()
        out = denoiser(
            single=single, pair=pair, mask=mask, coords_t=coords, t=torch.tensor([500]),
            coords_prev=None,
        )  # fmt: skip
        out["coords"].pow(2).sum().backward()
    return time.perf_counter() - start


def main() -> None:
    choose_device("cpu")  # with the settings of the command line
    torch.manual_seed(0)
    for checkpointing in (True, False):
        seconds = step(64, checkpointing)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        how = "checkpointed" if checkpointing else "plain"
        print(f"denoiser, batch 1, L=64, {how}: {seconds:.2f} s, peak resident {peak:.2f} GiB")
    Console().print(layers())


if __name__ == "__main__":
    main()
