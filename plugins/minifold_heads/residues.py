"""What each residue is, from its features: what an encoder can be pre-trained on."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Head
from minifold_heads.config import ResidueClassesConfig


class ResidueClassesHead(Head):
    """Each residue's features, through a norm and a perceptron, to a logit for each class."""

    def __init__(self, config: ResidueClassesConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        (given,) = config.gives()
        assert given.width is not None
        self.port = given.name
        width = widths["single"]
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.hidden), nn.GELU(), nn.Linear(config.hidden, given.width)
        )

    def forward(self, *, single: Tensor, mask: Tensor) -> Features:
        """Logits [B, L, classes], 0 off ``mask`` [B, L], from ``single`` [B, L, d]."""
        logits = at_least_fp32(self.mlp(self.norm(single)))
        return {self.port: logits.masked_fill(~mask[..., None], 0)}
