"""One layer of the transformer denoiser."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minifold_pairs.attention import attend
from minifold_transformer.config import TransformerDenoiserConfig


class AdaptiveNorm(nn.Module):
    """Layer norm whose scale and shift depend on the noise level (Peebles & Xie 2023, 3.2).

    The modulation starts at zero, so that every noise level starts with the same network.
    """

    def __init__(self, width: int, time_width: int, gates: int = 0) -> None:
        super().__init__()
        self.parts = 2 + gates
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(time_width, self.parts * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, time: Tensor) -> tuple[Tensor, ...]:
        """The norm of ``x`` [B, L, d] at ``time`` [B, d_time], then the gates [B, 1, d]."""
        scale, shift, *gates = self.modulation(time)[:, None].chunk(self.parts, -1)
        return torch.addcmul(shift, self.norm(x), 1 + scale), *gates


class TransformerBlock(nn.Module):
    """Attention with pair bias and a gated transition, each behind an adaptive norm and a gate.

    It is the diffusion transformer's block (AlphaFold 3, suppl. Algorithms 23-25), conditioned on
    the noise level alone: what is known of the residues enters with the coordinates.
    """

    def __init__(self, config: TransformerDenoiserConfig) -> None:
        super().__init__()
        width, hidden = config.d_model, config.ffn_multiplier * config.d_model
        self.heads = config.heads
        self.attention_norm = AdaptiveNorm(width, config.d_time, gates=1)
        self.projection = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.transition_norm = AdaptiveNorm(width, config.d_time, gates=1)
        self.widen = nn.Linear(width, 2 * hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x: Tensor, time: Tensor, bias: Tensor) -> Tensor:
        """Refine features.

        Args:
            x: [B, L, d].
            time: [B, d_time] embedding of the noise level.
            bias: [B, H, L, L] what pairs add to the logits, very negative for absent keys.

        Returns:
            [B, L, d].
        """
        normed, gate = self.attention_norm(x, time)
        x = torch.addcmul(x, gate, self._attend(normed, bias))
        normed, gate = self.transition_norm(x, time)
        value, slope = self.widen(normed).chunk(2, -1)
        return torch.addcmul(x, gate, self.narrow(value * F.silu(slope)))

    def _attend(self, x: Tensor, bias: Tensor) -> Tensor:
        q, k, v = self.projection(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(attend(q, k, v, bias).transpose(1, 2).flatten(2))
