"""What a residue sees of its neighbours along the chain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import safe_norm
from minifold_core.geometry.neighbours import neighbours
from minifold_core.units import CA_CA, MODEL_UNIT


class ChainNeighbours(nn.Module):
    """Vectors from each Cα to those a few places before and behind it, and features of them.

    Bonds, the turns of a helix and the zigzag of a strand are differences of neighbouring
    positions. They are a few ångström, positions up to ten times that: a network that is given
    positions alone has to learn to subtract them, ever more exactly as the noise falls.
    """

    spread: Tensor

    def __init__(self, reach: int, width: int) -> None:
        """``reach`` places to either side; features of width ``width``."""
        super().__init__()
        self.places = [k for k in range(-reach, reach + 1) if k]
        spread = [abs(k) * (CA_CA / MODEL_UNIT) ** 2 / 3 for k in self.places]
        self.register_buffer("spread", torch.tensor(spread)[:, None], persistent=False)
        self.embed = nn.Sequential(
            nn.Linear(2 * 4 * len(self.places), width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(
        self, state: Tensor, before: Tensor, snr: Tensor, mask: Tensor, residue_index: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Look along the chain.

        Args:
            state: [B, L, 3] a noised trace in model units.
            before: [B, L, 3] a previous prediction of it.
            snr: [B] the signal-to-noise ratio of ``state``.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.

        Returns:
            Features [B, L, d], and the vectors in ``state`` [B, L, K, 3] to the K neighbours. They
            are divided by what they would be along one axis in a freely jointed chain with that
            noise, and are 0 for neighbours that are not there.
        """
        there, linked = zip(*(neighbours(k, mask, residue_index) for k in self.places), strict=True)
        rows, absent = torch.stack(there, -1), ~torch.stack(linked, -1)[..., None]

        def vectors(trace: Tensor, variance: Tensor) -> Tensor:
            apart = trace[:, rows] - trace[:, :, None]
            return (apart * variance.rsqrt()).masked_fill(absent, 0)

        signal, noise = ((1 / (1 + x))[:, None, None, None] for x in (1 / snr, snr))
        seen = vectors(state, signal * self.spread + 2 * noise)
        both = torch.cat([seen, vectors(before, self.spread)], -2)
        measured = torch.cat([both.flatten(-2), safe_norm(both)], -1)
        return self.embed(measured), seen
