"""One round of messages between all residues (Satorras et al. 2021, arXiv 2102.09844, Eq. 3-6).

The first linear map of the message network reads both residues, their pair features and their
distances. It is linear, so it is the sum of a map of each: the maps of residues are taken once per
residue instead of once per pair, and the inputs of pairs are never joined.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_egnn.config import EGNNDenoiserConfig

TRACES = 3
"""Traces whose distances a message sees: the layer's own, the noised state, a previous answer."""

EPS = 1e-8
"""Added to squared distances under a root, for a finite gradient at coincident points."""


class EGNNLayer(nn.Module):
    """Messages m_ij, a step of the coordinates along x_i - x_j, an update of the features.

    Beside the paper: a step is divided by the distance plus 1, which bounds it however far points
    are apart (Hoogeboom et al. 2022, arXiv 2203.17003), messages carry the soft edge of the
    paper's section 3.3, and sums over j are means, so that they do not grow with the chain.

    Args:
        config: widths.
        pair_width: size of the last axis of the pair features.
        last: nobody reads the features behind this layer, so it has no update of them.
    """

    def __init__(self, config: EGNNDenoiserConfig, pair_width: int, last: bool) -> None:
        super().__init__()
        width, edge = config.d_model, config.d_edge
        self.distance_scale = config.distance_scale
        self.time = nn.Linear(config.d_time, width)
        self.from_residues = nn.Linear(width, 2 * edge, bias=False)
        self.from_pair = nn.Linear(pair_width, edge)
        self.from_distances = nn.Linear(TRACES, edge, bias=False)
        self.message = nn.Sequential(nn.SiLU(), nn.Linear(edge, edge), nn.SiLU())
        step = nn.Linear(edge, 1, bias=False)
        nn.init.zeros_(step.weight)
        self.step = nn.Sequential(nn.Linear(edge, edge), nn.SiLU(), step)
        self.update = None if last else FeatureUpdate(width, edge, config.d_ffn)

    def forward(
        self,
        features: Tensor,
        coords: Tensor,
        time: Tensor,
        pair: Tensor,
        known: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Refine residues once.

        Args:
            features: [B, L, d].
            coords: [B, L, 3] in model units, float32 or wider.
            time: [B, d_time] embedded noise level.
            pair: [B, L, L, p].
            known: [B, L, L, 2] :func:`radial` of the traces that stay as they are.
            weights: [B, L, L] from :func:`mean_weights`, in the type of ``coords``.

        Returns:
            The new features [B, L, d] and coordinates [B, L, 3].
        """
        features = features + self.time(time)[:, None]
        apart = coords[:, :, None] - coords[:, None]
        squares = apart.pow(2).sum(-1)
        distances = torch.cat([radial(squares, self.distance_scale)[..., None], known], -1)
        messages = self.message(self._first(features, pair, distances))
        # No matrix product here: some devices would round its factors, whatever their type.
        pull = weights * at_least_fp32(self.step(messages).squeeze(-1))
        coords = coords + (apart * (pull / ((squares + EPS).sqrt() + 1))[..., None]).sum(2)
        if self.update is not None:
            features = self.update(features, messages, weights)
        return features, coords

    def _first(self, features: Tensor, pair: Tensor, distances: Tensor) -> Tensor:
        """[B, L, L, e] the first linear map of the message network, part by part."""
        receiver, sender = self.from_residues(features).chunk(2, -1)
        total = self.from_pair(pair)
        total += self.from_distances(distances)
        total += receiver[:, :, None]
        total += sender[:, None]
        return total


class FeatureUpdate(nn.Module):
    """Residue features from themselves and the messages that reach them; a normed residual."""

    def __init__(self, width: int, edge: int, hidden: int) -> None:
        super().__init__()
        self.edge = nn.Linear(edge, 1)
        self.received_norm = nn.LayerNorm(edge)
        last = nn.Linear(hidden, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(nn.Linear(width + edge, hidden), nn.SiLU(), last)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, messages: Tensor, weights: Tensor) -> Tensor:
        """New features [B, L, d] from messages [B, L, L, e] to i from j, and ``weights``."""
        share = weights * self.edge(messages).squeeze(-1).sigmoid()
        received = (share[:, :, None].to(messages.dtype) @ messages).squeeze(2)
        joined = torch.cat([features, self.received_norm(received)], -1)
        return self.norm(features + self.network(joined))


def radial(squares: Tensor, scale: float) -> Tensor:
    """``log(1 + d²/scale²)`` of squared distances ``d²``, of any shape.

    A smooth function of the square, as the paper's input is, but it resolves a bond beside the
    width of a chain, stays within half precision and has a gradient of at most 1/scale.
    """
    return torch.log1p(squares / scale**2)


def mean_weights(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, L, L] 1/(n-1) between different residues of ``mask`` [B, L] with n of them, else 0."""
    there = mask[:, :, None] & mask[:, None]
    there = there & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    others = (mask.sum(1) - 1).clamp(min=1)
    return there.to(dtype) / others[:, None, None].to(dtype)
