"""Backbone atoms on a predicted Cα trace with frames."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_backbone.config import BackboneHeadConfig
from minifold_backbone.geometry import (
    CA,
    NITROGEN,
    direction,
    ideal_atoms,
    oxygen_opposite,
    to_global,
    to_local,
)
from minifold_core.geometry.frames import at_least_fp32, quaternion_to_rotation
from minifold_core.geometry.neighbours import neighbours
from minifold_core.interfaces import Features, Head
from minifold_core.units import CA_CA

NEIGHBOURS = (-2, -1, 1, 2)
"""Places along the chain whose Cα a residue sees: four Cα nearly fix a peptide's orientation."""

MEAN_TURN = (0.9922, -0.1197, -0.0044, -0.0333)
"""Quaternion from Cα frames to N-Cα-C frames: the mean over native ones of the demo chains, which
lie 22° away from it on average."""

OFFSET = 0.1
"""Ångström per unit of a learned offset: lengths in crystals spread by 0.01 to 0.02 Å."""


class BackboneHead(Head):
    """Turns each residue's Cα frame into its N-Cα-C frame, and places four atoms in that.

    Cα is ``coords`` itself. N and C have ideal places in the N-Cα-C frame. O has not: it lies
    where ψ says, so it is placed last, in the plane of Cα, C and the N that the *next* residue has
    by then; a second perceptron sees that N and the next Cα and corrects the torsion. Both add
    learned offsets, and both end in zeros, so an untrained head gives ideal residues.

    Everything is computed in residue frames from what residue frames see: turning the input turns
    the output, and a mirror image, whose frames are other frames, is another structure.
    """

    def __init__(self, config: BackboneHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        width = widths["single"]
        self.norm = nn.LayerNorm(width)
        self.frame = _perceptron(width + 4 * len(NEIGHBOURS), config.hidden, 3 + 6)
        self.oxygen = _perceptron(width + 7, config.hidden, 2 + 3)

    def forward(
        self,
        *,
        coords: Tensor,
        rotations: Tensor,
        single: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        scale: Tensor,
    ) -> Features:
        """Place the backbone.

        Args:
            coords: [B, L, 3] predicted Cα in model units.
            rotations: [B, L, 3, 3] predicted Cα frames.
            single: [B, L, d] residue features.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.
            scale: [B] ångström per model unit.

        Returns:
            ``backbone`` [B, L, 4, 3], N, Cα, C, O in model units, 0 off the mask.
        """
        with torch.autocast(coords.device.type, enabled=False):
            # Ångström in here: the one place where model units come in, and one where they go out.
            unit = at_least_fp32(scale)[:, None, None]
            given, rotations = at_least_fp32(coords), at_least_fp32(rotations)
            coords = given * unit
            single = self.norm(at_least_fp32(single))
            places = {k: neighbours(k, mask, residue_index) for k in NEIGHBOURS}

            seen = [single]
            for there, linked in places.values():
                seen += _sight(coords, rotations, coords[:, there, None], linked)
            turn, offset = self.frame(torch.cat(seen, -1)).split([3, 6], -1)
            rotations = rotations @ quaternion_to_rotation(_turned(turn))
            offset = OFFSET * offset.unflatten(-1, (2, 3))

            there, linked = places[1]
            nitrogen = offset[..., :1, :] + offset.new_tensor(NITROGEN)
            nitrogen = to_global(coords, rotations, nitrogen).squeeze(-2)
            ahead = torch.stack([nitrogen, coords], -2)[:, there]
            seen = [single, *_sight(coords, rotations, ahead, linked)]
            correction, offset_o = self.oxygen(torch.cat(seen, -1)).split([2, 3], -1)
            next_nitrogen = to_local(coords, rotations, ahead)[..., 0, :]
            planar = oxygen_opposite(next_nitrogen.masked_fill(~linked[..., None], 0))

            atoms = ideal_atoms(direction(planar + correction, planar))
            own = torch.zeros_like(offset_o)  # of Cα, the origin
            offsets = [offset[..., 0, :], own, offset[..., 1, :], OFFSET * offset_o]
            backbone = to_global(coords, rotations, atoms + torch.stack(offsets, -2))
            backbone = backbone / unit[..., None]
            backbone[:, :, CA] = given  # to the last digit
        return {"backbone": backbone.masked_fill(~mask[..., None, None], 0)}


def _perceptron(width: int, hidden: int, out: int) -> nn.Sequential:
    """Two hidden layers, and a last one that starts at zero."""
    last = nn.Linear(hidden, out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(
        nn.Linear(width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), last
    )


def _sight(origin: Tensor, rotation: Tensor, points: Tensor, linked: Tensor) -> list[Tensor]:
    """[B, L, 3 A] points [B, L, A, 3] in residue frames, Cα-Cα distances as unit, and [B, L, 1]
    whether they are there; both 0 where not ``linked`` [B, L]."""
    local = (to_local(origin, rotation, points) / CA_CA).flatten(-2)
    there = linked[..., None]
    return [local.masked_fill(~there, 0), there.to(local)]


def _turned(turn: Tensor) -> Tensor:
    """[..., 4] the mean turn, then one by a quaternion of real part 1 before it is normalised.

    Args:
        turn: [..., 3] its vector part (AlphaFold 2, suppl. Algorithm 23).
    """
    w, v = turn.new_tensor(MEAN_TURN[0]), turn.new_tensor(MEAN_TURN[1:]).expand_as(turn)
    real = w - (v * turn).sum(-1, keepdim=True)
    product = torch.cat([real, w * turn + v + torch.linalg.cross(v, turn)], -1)
    return product / product.pow(2).sum(-1, keepdim=True).sqrt()
