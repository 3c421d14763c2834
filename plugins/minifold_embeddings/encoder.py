"""Precomputed embeddings, projected."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.interfaces import Encoder, Features
from minifold_core.residues import MASK
from minifold_embeddings.config import EmbeddingsEncoderConfig


class EmbeddingsEncoder(Encoder):
    """Normalise and project the embeddings of each residue by itself.

    A hidden residue gets a learned vector instead, whatever its embedding. ``single`` is
    normalised: unit scale whatever the weights and the embeddings.
    """

    def __init__(self, config: EmbeddingsEncoderConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.project = nn.Sequential(
            nn.LayerNorm(config.d_embedding), nn.Linear(config.d_embedding, config.d_model)
        )
        self.hidden = nn.Parameter(torch.randn(config.d_model))
        self.norm = nn.LayerNorm(config.d_model)

    def forward(self, *, embeddings: Tensor, tokens: Tensor, mask: Tensor) -> Features:
        """Residue features, zero where there is padding.

        Args:
            embeddings: [B, L, e] what another model made of the residues.
            tokens: [B, L] residue ids, MASK where hidden.
            mask: [B, L] True where there is a residue.

        Returns:
            ``single`` [B, L, d_model].
        """
        known = self.project(embeddings)
        hidden = tokens.eq(MASK)[..., None]
        single = torch.where(hidden, self.hidden.to(known), known)
        return {"single": self.norm(single) * mask[..., None]}
