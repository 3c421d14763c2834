"""The contact encoder: residue features and contacts from sequence alone."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import pad

from minifold_contact.config import ContactEncoderConfig
from minifold_contact.tower import Tower
from minifold_contact.wrap import unwrap, wrap
from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Encoder, Features
from minifold_core.residues import VOCABULARY_SIZE
from minifold_pairs.attention import key_bias
from minifold_pairs.outer import OuterProductMean
from minifold_pairs.positions import LinearPositions
from minifold_pairs.stack import Transition


class ContactBlock(nn.Module):
    """Add what the residue features say to the pair features, then a transition."""

    def __init__(self, config: ContactEncoderConfig) -> None:
        super().__init__()
        d = config.d_pair
        self.outer = OuterProductMean(config.d_model, d, config.opm_hidden)
        self.transition = Transition(d, config.pair_ffn_multiplier * d)

    def forward(self, single: Tensor, pair: Tensor, mask: Tensor) -> Tensor:
        """New pair features [B, L, L, d_pair] of ``single`` [B, L, d_model]; ``mask`` [B, L]."""
        pair = pair + self.outer(single, mask)
        return pair + self.transition(pair)


class ContactEncoder(Encoder):
    """Two transformer towers, each followed by a contact block.

    The second tower's attention is biased by the pair features of the first contact block; the
    contacts are read from those of the second. ``single`` is normalised: unit scale whatever the
    weights. Attention sees each chain between a start and an end token, which are not given out.
    """

    def __init__(self, config: ContactEncoderConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        d, d_pair, heads = config.d_model, config.d_pair, config.heads
        self.embedding = nn.Embedding(VOCABULARY_SIZE, d)
        self.attention_positions = LinearPositions(heads, config.max_rel_pos)
        self.pair_positions = LinearPositions(d_pair, config.max_rel_pos)
        self.towers = nn.ModuleList(
            Tower(d, heads, config.ffn_multiplier * d, config.tower_layers) for _ in range(2)
        )
        self.contact_blocks = nn.ModuleList(ContactBlock(config) for _ in range(2))
        self.pair_bias = nn.Sequential(nn.LayerNorm(d_pair), nn.Linear(d_pair, heads, bias=False))
        self.norm = nn.LayerNorm(d)
        self.contact = nn.Sequential(nn.LayerNorm(d_pair), nn.Linear(d_pair, 1))

    def forward(self, *, tokens: Tensor, mask: Tensor, residue_index: Tensor) -> Features:
        """Residue features and contacts, zero where there is padding.

        Args:
            tokens: [B, L] residue ids, PAD beyond a chain's end.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.

        Returns:
            ``single`` [B, L, d_model], and ``contacts`` [B, L, L], the symmetric probabilities that
            two Cα are within 8 Å.
        """
        pair_mask = mask[:, :, None] & mask[:, None, :]
        wrapped, inside, index = wrap(tokens, mask, residue_index)
        x = self.embedding(wrapped)
        bias = self.attention_positions(index).permute(0, 3, 1, 2)
        bias = bias + key_bias(inside, x)[:, None, None]

        x = self.towers[0](x, bias)
        pair = self.contact_blocks[0](unwrap(x), self.pair_positions(residue_index), mask)
        # The start and end tokens have no pair features: no bias from or to them.
        pair_bias = self.pair_bias(pair) * pair_mask[..., None]
        x = self.towers[1](x, bias + pad(pair_bias.permute(0, 3, 1, 2), (1, 1, 1, 1)))
        pair = self.contact_blocks[1](unwrap(x), pair, mask)

        logits = at_least_fp32(self.contact(pair).squeeze(-1))
        contacts = ((logits + logits.transpose(1, 2)) / 2).sigmoid() * pair_mask
        return {"single": self.norm(unwrap(x)) * mask[..., None], "contacts": contacts}
