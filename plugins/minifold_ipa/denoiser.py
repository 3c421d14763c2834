"""The denoiser of v11 to v14: frames on a noised Cα trace, moved by invariant point attention."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.diffusion.times import sinusoids
from minifold_core.geometry.frames import at_least_fp32
from minifold_core.geometry.size import centre, centred
from minifold_core.interfaces import Features, GatedDenoiser
from minifold_ipa.block import IPABlock
from minifold_ipa.config import IPADenoiserConfig
from minifold_ipa.rigid import Frames, frame_confidence, initial_rotations

ABSENT = -1e9
"""Logit of a key that is not there: finite, so that a row without any key stays finite too."""


class IPADenoiser(GatedDenoiser):
    """Predicts positions and frames without noise; checkpointing recomputes layer by layer."""

    def __init__(self, config: IPADenoiserConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.config = config
        self.single = nn.Sequential(
            nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], config.d_model)
        )
        self.pair_norm = nn.LayerNorm(widths["pair"])
        self.pair_bias = nn.Linear(widths["pair"], config.layers * config.heads, bias=False)
        self.time = nn.Sequential(nn.Linear(config.d_time, config.d_time), nn.SiLU())
        self.blocks = nn.ModuleList(IPABlock(config, widths["pair"]) for _ in range(config.layers))

    def prepare(self, *, single: Tensor, pair: Tensor) -> Features:
        """What all noise levels share.

        Returns:
            ``residues`` [B, L, d], ``pairs`` [B, L, L, p] and ``biases`` [B, layers, H, L, L], what
            pairs add to the logits of every layer.
        """
        normed = self.pair_norm(pair)
        biases = self._pair_biases(normed)
        # Every layer multiplies by the pair features: take them once to the autocast precision.
        pairs = normed.to(biases.dtype)
        return {"residues": self.single(single), "pairs": pairs, "biases": at_least_fp32(biases)}

    def forward(
        self,
        *,
        single: Tensor,
        pair: Tensor,
        mask: Tensor,
        coords_t: Tensor,
        t: Tensor,
        snr: Tensor,
        coords_prev: Tensor | None,
        residues: Tensor | None = None,
        pairs: Tensor | None = None,
        biases: Tensor | None = None,
    ) -> Features:
        """Denoise.

        Args:
            single: [B, L, d] residue features.
            pair: [B, L, L, p] pair features.
            mask: [B, L] True where there is a residue.
            coords_t: [B, L, 3] the noised Cα trace in model units.
            t: [B] integer noise levels.
            snr: [B] their signal-to-noise ratios.
            coords_prev: [B, L, 3] a previous prediction, for self-conditioning: it only replaces
                the trace that the first frames are built from.
            residues: with ``pairs`` and ``biases``, what :meth:`prepare` made of ``single`` and
                ``pair``.
            pairs: see there.
            biases: see there.

        Returns:
            ``coords`` [B, L, 3] in model units, 0 off the mask, and ``rotations`` [B, L, 3, 3],
            the identity off the mask.
        """
        if residues is None or pairs is None or biases is None:
            residues, pairs, biases = self.prepare(single=single, pair=pair).values()
        there = mask[..., None]
        coords_t = at_least_fp32(coords_t).masked_fill(~there, 0)
        rotations = initial_rotations(coords_t, mask, self.confidence(snr), coords_prev)
        frames = Frames(rotations, centred(coords_t, mask))

        key_bias = torch.where(mask, 0.0, ABSENT).to(coords_t)
        time = self.time(sinusoids(t, self.config.d_time).to(self.pair_bias.weight.dtype))
        features = residues
        for block, bias in zip(self.blocks, biases.permute(1, 2, 0, 3, 4), strict=True):
            arguments = (features, frames, time, pairs, bias, key_bias)
            features, frames = self.run_block(block, *arguments)

        identity = torch.eye(3, dtype=coords_t.dtype, device=coords_t.device)
        return {
            "coords": (frames.translations + centre(coords_t, mask)).masked_fill(~there, 0),
            "rotations": torch.where(there[..., None], frames.rotations, identity),
        }

    def confidence(self, snr: Tensor) -> Tensor:
        """[B] how far the frames of the noised trace are trusted; linear in the ratio."""
        return frame_confidence(snr, self.config.snr_low, self.config.snr_high)

    def _pair_biases(self, pair: Tensor) -> Tensor:
        """[B, layers, H, L, L] what pairs add to the logits of every layer, in one product."""
        weight = self.pair_bias.weight / math.sqrt(3)
        biases = weight @ pair.flatten(0, 2).T
        shape = (self.config.layers, self.config.heads, *pair.shape[:3])
        return biases.view(shape).permute(2, 0, 1, 3, 4)
