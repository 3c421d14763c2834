"""Transformer towers over the residues of a chain."""

from __future__ import annotations

from torch import Tensor, nn

from minifold_pairs.attention import attend
from minifold_pairs.stack import Transition


class TransformerLayer(nn.Module):
    """Pre-normed self-attention with an additive bias, then a feed-forward network.

    Args:
        d: width of the residue features.
        heads: number of heads, a divisor of ``d``.
        ffn: hidden width of the feed-forward network.
    """

    def __init__(self, d: int, heads: int, ffn: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(d)
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.transition = Transition(d, ffn)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """New features of ``x`` [B, S, d]; ``bias`` broadcasts to [B, heads, S, S]."""
        b, length, d = x.shape
        qkv = self.qkv(self.norm(x)).view(b, length, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = x + self.out(attend(q, k, v, bias).transpose(1, 2).flatten(2))
        return x + self.transition(x)


class Tower(nn.Module):
    """A stack of transformer layers that share one attention bias."""

    def __init__(self, d: int, heads: int, ffn: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TransformerLayer(d, heads, ffn) for _ in range(layers))

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """New features of ``x`` [B, S, d]; ``bias`` broadcasts to [B, heads, S, S]."""
        for layer in self.layers:
            x = layer(x, bias)
        return x
