"""Relative positions along the chain, as features of residue pairs.

A feature of the clipped separation is one row of a small table, so the continuous and the binned
part are summed in the table and looked up together.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class RelativePositions(nn.Module, ABC):
    """Features of the signed separation ``residue_index[j] - residue_index[i]``, clipped.

    Args:
        reach: separations beyond ±reach take the features of ±reach.
    """

    def __init__(self, reach: int) -> None:
        super().__init__()
        self.reach = reach

    @abstractmethod
    def table(self) -> Tensor:
        """[2 reach + 1, d] features of the separations -reach ... reach."""

    def forward(self, residue_index: Tensor) -> Tensor:
        """[B, L, L, d] features of pairs, for ``residue_index`` [B, L]."""
        separation = residue_index[:, None, :] - residue_index[:, :, None]
        row = separation.clamp(-self.reach, self.reach) + self.reach
        return nn.functional.embedding(row, self.table())


class LinearPositions(RelativePositions):
    """One embedding per separation up to ±reach (AlphaFold 2, suppl. Algorithm 4).

    With the published reach of 32 it tells no pair further apart than 32 from another.
    """

    def __init__(self, d: int, reach: int) -> None:
        super().__init__(reach)
        self.embedding = nn.Embedding(2 * reach + 1, d)

    def table(self) -> Tensor:
        """[2 reach + 1, d]: the embeddings themselves."""
        return self.embedding.weight


class LogPositions(RelativePositions):
    """Embeddings of log-spaced bins of separation, a set per direction, plus sines and cosines.

    Bins 0 ... linear hold one separation each; the others are spaced evenly in the logarithm, the
    last one at ``reach``. That starts finer than one residue: of the published 128 bins up to 512,
    every separation up to 32 has one for itself and sixteen in between hold none.

    Args:
        d: width of the features.
        bins: number of bins of absolute separation.
        linear: last separation of the linear part.
        reach: separation of the last bin.
        sinusoidal: number of continuous features.
    """

    signed_bins: Tensor
    waves: Tensor

    def __init__(self, d: int, bins: int, linear: int, reach: int, sinusoidal: int) -> None:
        super().__init__(reach)
        self.embedding = nn.Embedding(2 * bins, d)
        self.continuous = nn.Linear(sinusoidal, d, bias=False)
        separation = torch.arange(-reach, reach + 1)
        binned = log_bins(separation.abs(), bins, linear, reach)
        self.register_buffer("signed_bins", binned + bins * separation.lt(0), persistent=False)
        self.register_buffer("waves", sinusoids(separation, sinusoidal, reach), persistent=False)

    def table(self) -> Tensor:
        """[2 reach + 1, d]: embedding of the signed bin plus projected sines and cosines."""
        return self.embedding(self.signed_bins) + self.continuous(
            self.waves.to(self.embedding.weight)
        )


def log_bins(separation: Tensor, bins: int, linear: int, reach: int) -> Tensor:
    """Bins of absolute separations [...]: themselves up to ``linear``, then log-spaced to reach."""
    distance = separation.double().clamp(linear, reach)
    fraction = (distance / linear).log() / math.log(reach / linear)
    beyond = linear + (fraction * (bins - 1 - linear)).round().long()
    return torch.where(separation <= linear, separation, beyond)


def sinusoids(separation: Tensor, features: int, reach: int) -> Tensor:
    """[..., features] sines, then cosines, of signed separations [...].

    Wavelengths grow geometrically from 2π to 2π ``reach`` residues; the sines carry the direction.
    """
    half = features // 2
    rate = reach ** -torch.linspace(0, 1, half, device=separation.device)
    angle = separation[..., None] * rate
    return torch.cat([angle.sin(), angle.cos()], -1)
