"""Noise without a centre of mass: states of a molecule know no absolute position."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minifold_core.geometry.size import centred


def centred_noise(mask: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """[B, L, 3] standard normal noise in float32, projected onto centred states.

    Each protein draws from its own generator and for its own residues alone, so what it gets
    depends on neither batch mates nor padding. Draws are made on the generator's device and moved:
    a CPU generator gives the same numbers on every device.
    """
    noise = torch.zeros(*mask.shape, 3, device=mask.device)
    for row, known, generator in zip(noise, mask, generators, strict=True):
        draw = torch.randn((int(known.sum()), 3), generator=generator, device=generator.device)
        row[known] = draw.to(mask.device)
    return centred(noise, mask)
