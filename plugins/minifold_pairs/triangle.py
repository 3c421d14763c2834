"""The pair stack from v13 on: triangle updates before axial attention."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from minifold_pairs.axial import AxialBlock
from minifold_pairs.config import TrianglePairStackConfig
from minifold_pairs.positions import LogPositions
from minifold_pairs.stack import BlockPairStack
from minifold_pairs.triangle_update import TriangleUpdate


class EnhancedPairBlock(nn.Module):
    """Triangle updates from outgoing, then incoming edges, then an axial block."""

    def __init__(self, config: TrianglePairStackConfig) -> None:
        super().__init__()
        self.outgoing = TriangleUpdate(config.d_pair, config.tri_mul_dim, incoming=False)
        self.incoming = TriangleUpdate(config.d_pair, config.tri_mul_dim, incoming=True)
        self.axial = AxialBlock(config)

    def forward(self, pair: Tensor, mask: Tensor, pair_mask: Tensor) -> Tensor:
        """New pair features [B, L, L, d_pair]; ``mask`` [B, L], ``pair_mask`` [B, L, L]."""
        pair = pair + self.outgoing(pair, pair_mask)
        pair = pair + self.incoming(pair, pair_mask)
        return self.axial(pair, mask, pair_mask)


class TrianglePairStack(BlockPairStack):
    """Pair features by triangle updates and axial attention, with log-scaled positions to 512."""

    def __init__(self, config: TrianglePairStackConfig, widths: Mapping[str, int]) -> None:
        super().__init__(
            config,
            widths,
            positions=LogPositions(
                config.d_pair,
                bins=config.rpe_bins,
                linear=config.rpe_linear,
                reach=config.max_separation,
                sinusoidal=config.sinusoidal,
            ),
            blocks=(EnhancedPairBlock(config) for _ in range(config.blocks)),
        )
