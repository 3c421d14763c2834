"""The denoiser of v8 to v10: a noised Cα trace, moved by messages between all residues."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.diffusion.times import sinusoids
from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Denoiser, Features
from minifold_egnn.config import EGNNDenoiserConfig
from minifold_egnn.layer import EGNNLayer, mean_weights, radial


class EGNNDenoiser(Denoiser):
    """Predicts positions without noise; checkpointing recomputes layer by layer.

    Coordinates enter through distances and leave along differences, so the answer turns, shifts and
    is mirrored with the state: it cannot know the hand of a protein.
    """

    def __init__(self, config: EGNNDenoiserConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.config = config
        self.single = nn.Sequential(
            nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], config.d_model)
        )
        self.pair_norm = nn.LayerNorm(widths["pair"])
        self.time = nn.Sequential(nn.Linear(config.d_time, config.d_time), nn.SiLU())
        self.layers = nn.ModuleList(
            EGNNLayer(config, widths["pair"], last=number == config.layers)
            for number in range(1, config.layers + 1)
        )

    def forward(
        self,
        *,
        single: Tensor,
        pair: Tensor,
        mask: Tensor,
        coords_t: Tensor,
        t: Tensor,
        coords_prev: Tensor | None,
    ) -> Features:
        """Denoise.

        Args:
            single: [B, L, d] residue features.
            pair: [B, L, L, p] pair features.
            mask: [B, L] True where there is a residue.
            coords_t: [B, L, 3] the noised Cα trace in model units.
            t: [B] integer noise levels.
            coords_prev: [B, L, 3] a previous prediction, for self-conditioning: messages see its
                distances, zeros without one. Its pose has no effect.

        Returns:
            ``coords`` [B, L, 3] in model units, 0 off the mask.
        """
        there = mask[..., None]
        coords = at_least_fp32(coords_t).masked_fill(~there, 0)
        noised = self._radial(coords)
        previous = (
            torch.zeros_like(noised)
            if coords_prev is None
            else self._radial(at_least_fp32(coords_prev).masked_fill(~there, 0))
        )
        known = torch.stack([noised, previous], -1)
        weights = mean_weights(mask, coords.dtype)
        time = self.time(sinusoids(t, self.config.d_time).to(self.pair_norm.weight.dtype))
        features = self.single(single)
        # Every layer multiplies by the pair features: take them once to the autocast precision.
        pair = self.pair_norm(pair).to(features.dtype)
        for layer in self.layers:
            arguments = (features, coords, time, pair, known, weights)
            features, coords = self.run_block(layer, *arguments)
        return {"coords": coords.masked_fill(~there, 0)}

    def _radial(self, coords: Tensor) -> Tensor:
        """[B, L, L] what messages see of the distances between points [B, L, 3]."""
        squares = (coords[:, :, None] - coords[:, None]).pow(2).sum(-1)
        return radial(squares, self.config.distance_scale)
