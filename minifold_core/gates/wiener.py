"""Gate 2: the best linear denoiser, whose loss is known in closed form, in place of the network.

It knows one curve: the mean squared Cα distance at every separation along the chain. A Gaussian
chain with that curve has, per axis, the covariance ``C = -½ J (D² / 3) J`` (J centres), and
``x̂_0 = a C (a² C + b² J)⁻¹ x_t`` has the least mean square error among linear denoisers (Wiener).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.gates.levels import Levels
from minifold_core.gates.record import Finding
from minifold_core.geometry.frames import pairwise_distances
from minifold_core.interfaces import Features
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe
from minifold_core.training.objective import Objective
from minifold_core.training.randomness import generator
from minifold_core.training.validation import noise_bins

DRAWS = 256
"""Noised states of each chain in each bin."""
DEVIATIONS = 4
"""Standard errors by which the mean over the draws may differ from the closed form."""


class Wiener:
    """Stands in for a model of chains of one length."""

    def __init__(self, squared: Tensor, length: int, levels: Levels) -> None:
        """``squared`` [S]: mean squared distance by separation, S >= ``length``, model units²."""
        place = torch.arange(length)
        centring = torch.eye(length, dtype=torch.float64) - 1 / length
        covariance = -centring @ squared[(place[:, None] - place).abs()] @ centring / 6
        values, self.modes = torch.linalg.eigh(covariance)
        signal, noise = levels.signal[:, None], levels.noise[:, None]
        power = values.clamp(min=0)
        self.gains = signal * power / (signal.square() * power + noise.square())
        """[T, length] factor of every mode at every noise level."""
        self.levels = levels

    def trunk(self, batch: ProteinBatch, complete: bool = False) -> Features:
        """Nothing: it reads no sequence."""
        return {"mask": batch.mask}

    def denoise(
        self,
        trunk: Features,
        coords_t: Tensor,
        t: Tensor,
        snr: Tensor,
        mask: Tensor,
        coords_prev: Tensor | None = None,
    ) -> Features:
        """Mode by mode."""
        seen = self.modes.mT @ coords_t.double()
        return {"coords": self.modes @ (self.gains[t][..., None] * seen)}

    def read_out(self, *arguments: Any) -> Features:
        """No heads."""
        return {}

    def expected(self, x0: Tensor) -> Tensor:
        """[T] expected squared error per residue on ``x0`` [length, 3], over all noise."""
        amplitudes = (self.modes.mT @ x0.double()).square().sum(-1)
        missed = (self.levels.signal[:, None] * self.gains - 1).square() @ amplitudes
        return (missed + 3 * (self.levels.noise[:, None] * self.gains).square().sum(1)) / len(x0)


def linear_gate(recipe: Recipe, chains: Sequence[Chain], seed: int) -> Finding:
    """G2: through the objective, the linear denoiser's error is what the algebra says.

    Noise that has another variance than the network is told, times drawn outside their bin, or a
    state that is not centred or not in the right units all show here.
    """
    objective = Objective.of(recipe)
    assert objective.process is not None
    levels = Levels.of(objective.process)
    truths = [objective.truth(collate([chain])) for chain in chains]
    squared = _mean_squares([truth.ca[0] for truth in truths])
    bins = noise_bins(objective.process)
    rows = [dict[str, list[float]]() for _ in bins]
    for chain, truth in zip(chains, truths, strict=True):
        wiener = Wiener(squared, len(chain), levels)
        area = float(truth.scale[0]) ** 2
        expected = area * wiener.expected(truth.ca[0])
        size = area * float(truth.ca[0].square().sum(-1).mean())
        spread = area * 3 * (1 - 1 / len(chain))
        untouched = (levels.signal - 1).square() * size + levels.noise.square() * spread
        for row, within in zip(rows, bins, strict=True):
            assert within is not None
            t, losses = _losses(objective, wiener, chain, within, seed)
            part = slice(within.start, within.stop)
            for name, value in {
                "closed": float(expected[part].mean()),
                "drawn": float(expected[t].mean()),
                "excess": float((area * losses - expected[t]).mean()),
                "variance": float((area * losses - expected[t]).var()),
                "one_point": size,
                "state_itself": float(untouched[part].mean()),
            }.items():
                row.setdefault(name, []).append(value)
    return _judged([_bin(within, row) for within, row in zip(bins, rows, strict=True)])


def _losses(
    objective: Objective, wiener: Wiener, chain: Chain, within: range, seed: int
) -> tuple[Tensor, Tensor]:
    """Times [n] and squared errors per residue [n] of states as training draws them."""
    batch = collate([chain] * DRAWS)
    own = [generator(seed, chain.name, within.start, draw) for draw in range(DRAWS)]
    noised = objective.noised(batch, own, within)
    assert noised is not None
    predicted = objective.predict(cast(FoldModel, wiener), batch, noised)["coords"]
    error = predicted - objective.truth(batch).ca
    return noised.t, error.square().sum(-1).mean(-1)


def _mean_squares(traces: Sequence[Tensor]) -> Tensor:
    """[S] mean squared distance by separation over traces [L, 3], S the longest L."""
    total = torch.zeros(2, max(map(len, traces)), dtype=torch.float64)
    for trace in traces:
        place = torch.arange(len(trace))
        separation = (place[:, None] - place).abs().flatten()
        squares = pairwise_distances(trace[None].double())[0].square().flatten()
        total[0, : len(trace)] += separation.bincount(squares)
        total[1, : len(trace)] += separation.bincount()
    return total[0] / total[1]


def _bin(within: range | None, row: dict[str, list[float]]) -> dict[str, Any]:
    """Means over the chains, in Å²; ``ratio`` is seen over expected at the levels drawn."""
    assert within is not None
    n = len(row["closed"])
    mean = {name: sum(values) / n for name, values in row.items()}
    error = math.sqrt(mean["variance"] / (n * DRAWS))
    return {
        "bin": f"t{within.start}-{within.stop}",
        "closed": mean["closed"],
        "ratio": 1 + mean["excess"] / mean["drawn"],
        "allowed": DEVIATIONS * error / mean["drawn"],
        "one_point": mean["one_point"],
        "state_itself": mean["state_itself"],
    }


def _judged(bins: list[dict[str, Any]]) -> Finding:
    worst = max(bins, key=lambda row: abs(row["ratio"] - 1) / row["allowed"])
    allowed = max(row["allowed"] for row in bins)
    return Finding.judged(
        "g2",
        f"squared error of the linear denoiser in each bin within {allowed:.1%} of the closed form "
        f"({DEVIATIONS} standard errors)",
        f"at worst {worst['ratio'] - 1:+.1%} ± {worst['allowed']:.1%} ({worst['bin']})",
        all(abs(row["ratio"] - 1) <= row["allowed"] for row in bins),
        {"draws": DRAWS, "bins": bins},
    )
