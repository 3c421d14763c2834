"""The pair stack up to v12b, and the auxiliary one: axial attention alone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from minifold_pairs.attention import AxialAttention
from minifold_pairs.config import AxialPairStackConfig, PairStackConfig
from minifold_pairs.positions import LinearPositions
from minifold_pairs.stack import BlockPairStack, Transition


class AxialBlock(nn.Module):
    """Row attention, column attention and a transition, each added to the pair features.

    Information passes between pairs that share a residue, without the third edge of the triangle
    that AlphaFold 2's triangle attention adds (see :class:`AxialAttention`).
    """

    def __init__(self, config: PairStackConfig) -> None:
        super().__init__()
        d, heads, head_dim = config.d_pair, config.heads, config.head_dim
        self.row = AxialAttention(d, heads, head_dim, columns=False)
        self.column = AxialAttention(d, heads, head_dim, columns=True)
        self.transition = Transition(d, config.ffn_multiplier * d)

    def forward(self, pair: Tensor, mask: Tensor, pair_mask: Tensor) -> Tensor:
        """New pair features [B, L, L, d_pair]; ``mask`` [B, L]. ``pair_mask`` has no use here."""
        pair = pair + self.row(pair, mask)
        pair = pair + self.column(pair, mask)
        return pair + self.transition(pair)


class AxialPairStack(BlockPairStack):
    """Pair features by axial attention, blind to how far apart residues beyond ±32 are."""

    def __init__(self, config: AxialPairStackConfig, widths: Mapping[str, int]) -> None:
        super().__init__(
            config,
            widths,
            positions=LinearPositions(config.d_pair, config.max_rel_pos),
            blocks=(AxialBlock(config) for _ in range(config.blocks)),
        )
