"""One layer of the denoiser: attention, transition, frame update."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_ipa.attention import InvariantPointAttention
from minifold_ipa.config import IPADenoiserConfig
from minifold_ipa.rigid import Frames


class IPABlock(nn.Module):
    """Attention and a transition on residue features, then a step of every frame.

    It is one round of AlphaFold 2's structure module (suppl. Algorithm 20) that is told the noise
    level; rotations keep their gradient, because the losses judge them directly.
    """

    def __init__(self, config: IPADenoiserConfig, pair_width: int) -> None:
        super().__init__()
        width = config.d_model
        self.time = nn.Linear(config.d_time, width)
        self.attention = InvariantPointAttention(
            width,
            pair_width,
            config.heads,
            config.head_dim,
            config.query_points,
            config.value_points,
        )
        self.attention_norm = nn.LayerNorm(width)
        self.transition = nn.Sequential(
            nn.Linear(width, config.d_ffn), nn.ReLU(), nn.Linear(config.d_ffn, width)
        )
        self.transition_norm = nn.LayerNorm(width)
        step = nn.Linear(config.d_frame or width, 6)
        nn.init.zeros_(step.weight)
        nn.init.zeros_(step.bias)
        hidden = [nn.Linear(width, config.d_frame), nn.ReLU()] if config.d_frame else []
        self.frame_update = nn.Sequential(*hidden, step)

    def forward(
        self,
        single: Tensor,
        frames: Frames,
        time: Tensor,
        pair: Tensor,
        pair_bias: Tensor,
        key_bias: Tensor,
    ) -> tuple[Tensor, Frames]:
        """Refine features [B, L, d] and frames at ``time`` [B, d_time]; the rest is attention's."""
        single = single + self.time(time)[:, None]
        update = self.attention(single, pair, pair_bias, key_bias, frames)
        single = self.attention_norm(single + update)
        single = self.transition_norm(single + self.transition(single))
        with torch.autocast(single.device.type, enabled=False):
            frames = frames.moved(self.frame_update(at_least_fp32(single)))
        return single, frames
