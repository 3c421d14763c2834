"""The least that places side chains: parts that the core can be tried with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.batch import Truth
from minifold_core.components import ComponentConfig
from minifold_core.geometry.frames import at_least_fp32, safe_norm
from minifold_core.geometry.sidechains import sidechain_atoms
from minifold_core.interfaces import Encoder, Features, Head, Loss
from minifold_core.units import MODEL_UNIT


class AtomsHead(Head):
    """All atoms of a side chain beyond Cα, away from N, in a row."""

    def forward(self, *, backbone: Tensor, tokens: Tensor, mask: Tensor) -> Features:
        away = backbone[..., 1, :] - backbone[..., 0, :]
        steps = torch.arange(1, 11, device=away.device).to(away)[:, None]
        placed = backbone[..., 1:2, :] + steps * away[..., None, :]
        return {"sidechain": placed * self.there(tokens, mask)[..., None]}

    def there(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return sidechain_atoms(tokens) & mask[..., None]


class LavishHead(AtomsHead):
    """Gives every residue ten atoms."""

    def there(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return mask[..., None].expand(*mask.shape, 10)


class BurialHead(Head):
    def forward(self, *, sidechain: Tensor, mask: Tensor) -> Features:
        return {"burial": (sidechain - sidechain[..., :1, :]).pow(2).sum((-1, -2)) * mask}


class GivenEncoder(Encoder):
    def __init__(self, config: ComponentConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.residue = nn.Embedding(32, 4)

    def forward(
        self, *, tokens: Tensor, mask: Tensor, given_backbone: Tensor, given_backbone_mask: Tensor
    ) -> Features:
        return {
            "single": self.residue(tokens) * mask[..., None],
            "backbone": at_least_fp32(given_backbone) / MODEL_UNIT,
        }


class UnitsEncoder(GivenEncoder):
    """Forgets that what is given is in ångström."""

    def forward(self, **ports: Tensor) -> Features:
        return super().forward(**ports) | {"backbone": ports["given_backbone"]}


class AtomsLoss(Loss):
    """Squared distance between side chains as seen from their Cα."""

    def __call__(self, prediction: Mapping[str, Tensor], truth: Truth) -> Tensor:
        known = truth.sidechain_mask & sidechain_atoms(truth.tokens) & truth.mask[..., None]
        found = prediction["sidechain"] - prediction["backbone"][..., 1:2, :]
        native = truth.sidechain - truth.backbone[..., 1:2, :]
        a, b = (safe_norm(x) for x in (found, native))
        off = (a - b).pow(2)
        return torch.where(known, off, 0).sum((1, 2)) / known.sum((1, 2)).clamp(min=1)
