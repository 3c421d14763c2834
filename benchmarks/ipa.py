"""Time and memory of one full-size attention layer, beside the plain form of the same formula.

Run ``OMP_NUM_THREADS=1 python benchmarks/ipa.py``: on a busy machine several threads wait for each
other. Runs are interleaved, so that a busy machine slows all of them alike. With ``pip install
invariant-point-attention`` that package is measured too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib.util import find_spec

import torch
from rich.console import Console
from torch import Tensor
from torch.nn import functional as F

from minifold_core.cli.platform import choose_device
from minifold_core.geometry.frames import safe_norm
from minifold_ipa.attention import InvariantPointAttention
from minifold_ipa.rigid import Frames
from rounds import PLAIN, compare

BATCH, LENGTH, WIDTH, PAIR, HEADS, HEAD_DIM, POINTS = 4, 125, 512, 128, 8, 64, 8
ROUNDS = 9


class PlainAttention(InvariantPointAttention):
    """The formula as it is written: differences of all pairs of points, one product per term."""

    def forward(
        self, single: Tensor, pair: Tensor, pair_bias: Tensor, key_bias: Tensor, frames: Frames
    ) -> Tensor:
        b, length, _ = single.shape
        scalars = self.scalars(single).view(b, length, 3, self.heads, self.head_dim)
        q, k, v = scalars.unbind(2)
        with torch.autocast(single.device.type, enabled=False):
            q_points, k_points, v_points = (
                points.view(self.heads, b, length, 3, -1).permute(1, 2, 0, 4, 3)
                for points in self._global_points(single.float(), frames)
            )
            apart = q_points[:, :, None] - k_points[:, None]
            squares = apart.pow(2).sum((-1, -2)).permute(3, 0, 1, 2)
        weight = F.softplus(self.point_weight) * math.sqrt(2 / (27 * self.query_points))
        logits = torch.einsum("bihc,bjhc->hbij", q, k) / math.sqrt(3 * self.head_dim)
        logits = logits + pair_bias - weight[:, None, None, None] / 2 * squares
        a = (logits + key_bias[:, None]).softmax(-1)
        attended = torch.einsum("hbij,bjhc->bihc", a, v)
        points = torch.einsum("hbij,bjhpx->bihpx", a, v_points.to(a.dtype)).float()
        points = points - frames.translations[:, :, None, None]
        local = torch.einsum("bihpx,bixy->bihpy", points, frames.rotations)
        from_pairs = torch.einsum("hbij,bijp->bihp", a, pair)
        parts = [attended, local, safe_norm(local), from_pairs]
        return self.out(torch.cat([part.flatten(2) for part in parts], -1))


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor, Frames]:
    bias = torch.randn(HEADS, BATCH, LENGTH, LENGTH, requires_grad=True)
    rotations = torch.linalg.qr(torch.randn(BATCH, LENGTH, 3, 3)).Q
    return (
        torch.randn(BATCH, LENGTH, WIDTH, requires_grad=True),
        torch.randn(BATCH, LENGTH, LENGTH, PAIR, requires_grad=True),
        bias,
        torch.zeros(BATCH, LENGTH),
        Frames(rotations, torch.randn(BATCH, LENGTH, 3)),
    )


def lucidrains() -> Callable[[], Tensor]:
    from invariant_point_attention import InvariantPointAttention as Theirs

    single, pair, _, key_bias, frames = inputs()
    layer = Theirs(
        dim=WIDTH, heads=HEADS, scalar_key_dim=HEAD_DIM, scalar_value_dim=HEAD_DIM,
        point_key_dim=POINTS, point_value_dim=POINTS, pairwise_repr_dim=PAIR,
    )  # fmt: skip
    return lambda: layer(
        single,
        pairwise_repr=pair,
        rotations=frames.rotations.transpose(-1, -2),
        translations=frames.translations,
        mask=key_bias.eq(0),
    )


def main() -> None:
    choose_device("cpu")  # with the settings of the command line
    torch.manual_seed(0)
    sizes = (WIDTH, PAIR, HEADS, HEAD_DIM, POINTS, POINTS)
    fast, plain = InvariantPointAttention(*sizes), PlainAttention(*sizes)
    plain.load_state_dict(fast.state_dict())
    arguments = inputs()
    forwards: dict[str, Callable[[], Tensor]] = {
        "minifold": lambda: fast(*arguments),
        PLAIN: lambda: plain(*arguments),
    }
    if find_spec("invariant_point_attention"):
        forwards["invariant-point-attention"] = lucidrains()

    Console().print(compare(f"IPA layer, batch {BATCH}, L={LENGTH}", forwards, ROUNDS))


if __name__ == "__main__":
    main()
