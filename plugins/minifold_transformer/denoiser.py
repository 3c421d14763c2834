"""The transformer denoiser: coordinates are features like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from minifold_core.diffusion.preconditioning import preconditioning
from minifold_core.diffusion.times import sinusoids
from minifold_core.geometry.frames import at_least_fp32, ca_rotations
from minifold_core.geometry.size import centre, centred
from minifold_core.interfaces import Denoiser, Features
from minifold_core.units import MODEL_UNIT
from minifold_pairs.attention import key_bias
from minifold_transformer.block import AdaptiveNorm, TransformerBlock
from minifold_transformer.config import TransformerDenoiserConfig
from minifold_transformer.local import ChainNeighbours

WIDEST, PER_NEPER = 13.0, 38.0
"""Logarithms of the signal-to-noise ratio up to ±13 are told apart, as far apart as 1,000 times."""


class TransformerDenoiser(Denoiser):
    """Predicts positions without noise from positions with it; no symmetry is built in.

    It learns rotations from turned examples (``training.random_rotations``), and nothing promises
    that its answer turns with its input. The state is centred before it is read, so shifts
    change nothing. What it is asked for is preconditioned (Karras et al. 2022, Table 1): a move of
    its own and pulls towards the neighbours along the chain or away from them, which turn with it.
    """

    equivariant: ClassVar[bool] = False

    def __init__(self, config: TransformerDenoiserConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.config = config
        width = config.d_model
        self.single = nn.Sequential(
            nn.LayerNorm(widths["single"]), nn.Linear(widths["single"], width)
        )
        self.state = nn.Linear(3, width, bias=False)
        self.previous = nn.Linear(3, width, bias=False)
        self.along = ChainNeighbours(config.reach, width)
        self.pair_norm = nn.LayerNorm(widths["pair"])
        self.pair_bias = nn.Linear(widths["pair"], config.layers * config.heads, bias=False)
        self.time = nn.Sequential(
            nn.Linear(config.d_time, config.d_time),
            nn.SiLU(),
            nn.Linear(config.d_time, config.d_time),
            nn.SiLU(),
        )
        self.blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.layers))
        self.last_norm = AdaptiveNorm(width, config.d_time)
        self.coords = nn.Linear(width, 3, bias=False)
        self.pulls = nn.Linear(width, 2 * config.reach, bias=False)
        nn.init.zeros_(self.coords.weight)
        nn.init.zeros_(self.pulls.weight)

    def prepare(self, *, single: Tensor, pair: Tensor, **_: Tensor) -> Features:
        """``residues`` [B, L, d] to which the state is added, and ``biases`` of :meth:`_biases`."""
        return {"residues": self.single(single), "biases": self._biases(pair)}

    def forward(
        self,
        *,
        single: Tensor,
        pair: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        coords_t: Tensor,
        snr: Tensor,
        coords_prev: Tensor | None,
        residues: Tensor | None = None,
        biases: Tensor | None = None,
    ) -> Features:
        """Denoise.

        Args:
            single: [B, L, d] residue features.
            pair: [B, L, L, p] pair features.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.
            coords_t: [B, L, 3] the noised Cα trace in model units.
            snr: [B] signal-to-noise ratios of that noise.
            coords_prev: [B, L, 3] a previous prediction, for self-conditioning.
            residues: with ``biases``, what :meth:`prepare` made of ``single`` and ``pair``.
            biases: see there.

        Returns:
            ``coords`` [B, L, 3] in model units, 0 off the mask, and ``rotations`` [B, L, 3, 3], the
            frames of their trace.
        """
        if residues is None or biases is None:
            residues, biases = self.prepare(single=single, pair=pair).values()
        coords_t = at_least_fp32(coords_t)
        state, middle = centred(coords_t, mask), centre(coords_t, mask)
        data = self.config.sigma_data / MODEL_UNIT
        c_in, c_skip, c_out = (c[:, None, None] for c in preconditioning(snr, data))
        x = residues + self.state(c_in * state)
        # Without a previous prediction it is a point, so that weights have a gradient in any step.
        before = torch.zeros_like(state)
        if coords_prev is not None:
            before = centred(at_least_fp32(coords_prev), mask)
        local, apart = self.along(state, before, snr, mask, residue_index)
        x = x + self.previous(before / data) + local
        time = self.time(self._level(snr).to(self.pair_bias.weight.dtype))
        absent = key_bias(mask, biases)[:, None, None, None]
        for block, bias in zip(self.blocks, (biases + absent).unbind(1), strict=True):
            x = self.run_block(block, x, time, bias)
        (x,) = self.last_norm(x, time)
        with torch.autocast(x.device.type, enabled=False):
            x = at_least_fp32(x)
            move = self.coords(x) + (self.pulls(x)[..., None] * apart).sum(-2)
            coords = c_skip * state + c_out * move + middle
            coords = coords.masked_fill(~mask[..., None], 0)
            return {"coords": coords, "rotations": ca_rotations(coords, mask)}

    def _level(self, snr: Tensor) -> Tensor:
        """[B, d_time] features of the noise level."""
        logarithm = at_least_fp32(snr).clamp(min=1e-30).log().clamp(-WIDEST, WIDEST)
        return sinusoids(PER_NEPER * logarithm, self.config.d_time)

    def _biases(self, pair: Tensor) -> Tensor:
        """[B, layers, H, L, L] what pairs add to the logits of every layer."""
        biases: Tensor = self.pair_bias(self.pair_norm(pair))
        apart = biases.unflatten(-1, (self.config.layers, self.config.heads))
        return apart.permute(0, 3, 4, 1, 2).contiguous()
