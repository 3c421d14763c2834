"""Rigid frames of residues, and how a trace of Cα atoms becomes the first of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from minifold_core.geometry.frames import (
    ca_rotations,
    quaternion_to_rotation,
    slerp_from_identity,
)


class Frames(NamedTuple):
    """One rigid transformation per residue, from its local coordinates to the global ones.

    Points are coordinate-first, [B, L, 3, N], so that every residue takes one small GEMM. All of
    it belongs outside autocast: half precision cannot hold a position to a tenth of an ångström.

    Attributes:
        rotations: [B, L, 3, 3].
        translations: [B, L, 3].
    """

    rotations: Tensor
    translations: Tensor

    def to_global(self, points: Tensor) -> Tensor:
        """[B, L, 3, N] local points in global coordinates."""
        return self.rotations @ points + self.translations[..., None]

    def to_local(self, points: Tensor) -> Tensor:
        """[B, L, 3, N] global points in the coordinates of their residue."""
        return self.rotations.transpose(-1, -2) @ (points - self.translations[..., None])

    def moved(self, update: Tensor) -> Frames:
        """Compose with a small step in the local frame (AlphaFold 2, suppl. Algorithm 23).

        Args:
            update: [B, L, 6] the vector part of a quaternion whose real part is 1, before it is
                normalised, then a translation.
        """
        vector, step = update[..., :3], update[..., 3:]
        quaternion = torch.cat([torch.ones_like(vector[..., :1]), vector], -1)
        quaternion = quaternion / quaternion.pow(2).sum(-1, keepdim=True).sqrt()
        return Frames(
            self.rotations @ quaternion_to_rotation(quaternion),
            self.to_global(step[..., None]).squeeze(-1),
        )


def frame_confidence(snr: Tensor, low: float, high: float) -> Tensor:
    """[B] how far frames of a noised trace are trusted: 0 up to ``low``, 1 from ``high`` on."""
    return ((snr - low) / (high - low)).clamp(0, 1)


@torch.no_grad()
def initial_rotations(
    coords: Tensor, mask: Tensor, confidence: Tensor, previous: Tensor | None
) -> Tensor:
    """[B, L, 3, 3] the rotations that the first layer starts from.

    Frames of a very noisy trace are noise themselves, so they are drawn towards the identity; a
    previous prediction counts as clean and is trusted whole.

    Args:
        coords: [B, L, 3] the noised trace.
        mask: [B, L].
        confidence: [B] from :func:`frame_confidence`.
        previous: [B, L, 3] a previous prediction of the clean trace, if there is one.
    """
    if previous is not None:
        return ca_rotations(previous, mask)
    return slerp_from_identity(ca_rotations(coords, mask), confidence[:, None])
