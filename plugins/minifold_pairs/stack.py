"""What the pair stacks share: initial pair features, transition, blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from minifold_core.interfaces import Features, PairStack
from minifold_pairs.config import PairStackConfig
from minifold_pairs.outer import OuterProductMean
from minifold_pairs.positions import RelativePositions


class Transition(nn.Sequential):
    """Pre-normed two-layer feed-forward network (AlphaFold 2, suppl. Algorithm 15); a residual."""

    def __init__(self, d: int, hidden: int) -> None:
        last = nn.Linear(hidden, d)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        super().__init__(nn.LayerNorm(d), nn.Linear(d, hidden), nn.ReLU(inplace=True), last)


class BlockPairStack(PairStack):
    """Initial pair features, refined by a list of blocks, and normalised.

    The initial features sum an outer product of the residue features, the relative position and
    the predicted contact.

    Args:
        config: the stack's config.
        widths: width of ``single``.
        positions: features of the relative position, of width ``d_pair``.
        blocks: called as ``block(pair, mask, pair_mask)``; each returns the new pair features.
    """

    def __init__(
        self,
        config: PairStackConfig,
        widths: Mapping[str, int],
        positions: RelativePositions,
        blocks: Iterable[nn.Module],
    ) -> None:
        super().__init__(config, widths)
        self.outer = OuterProductMean(widths["single"], config.d_pair, config.opm_hidden)
        self.contact = nn.Linear(1, config.d_pair, bias=False)
        self.positions = positions
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(config.d_pair)

    def forward(
        self, *, single: Tensor, contacts: Tensor | None, mask: Tensor, residue_index: Tensor
    ) -> Features:
        """Pair features, zero where either residue is padding.

        Args:
            single: [B, L, d] residue features.
            contacts: [B, L, L] contact probabilities, or None for an encoder without.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.

        Returns:
            ``pair`` [B, L, L, d_pair].
        """
        pair_mask = mask[:, :, None] & mask[:, None, :]
        if contacts is None:  # as zeros, so that the projection still has a gradient
            contacts = torch.zeros_like(pair_mask, dtype=single.dtype)
        pair = self.outer(single, mask)
        pair += self.positions(residue_index)
        pair += self.contact(contacts[..., None])
        for block in self.blocks:
            pair = self.run_block(block, pair, mask, pair_mask)
        return {"pair": self.norm(pair) * pair_mask[..., None]}
