"""Predicted beside true lDDT of a model's own samples: does it know where it is right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from minifold_core.data.records import Chain
from minifold_core.evaluation.lddt import residue_lddt
from minifold_core.evaluation.paired import Difference
from minifold_core.evaluation.sampling import Samples

BINS = 10
"""Equal bins of pLDDT between 0 and 1."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """n predicted numbers beside the true ones.

    Attributes:
        n: how many.
        plddt: mean predicted lDDT, 0 to 1.
        lddt: mean true lDDT, 0 to 1.
        pearson: correlation of the numbers; NaN where one side is constant.
        spearman: correlation of their ranks, equal numbers sharing theirs.
        error: mean absolute difference.
        floor_error: the same of the true mean instead of every prediction.
    """

    n: int
    plddt: float
    lddt: float
    pearson: float
    spearman: float
    error: float
    floor_error: float

    @classmethod
    def of(cls, plddt: Floats, lddt: Floats) -> Agreement:
        """Compare two arrays [n]."""
        return cls(
            len(plddt),
            _mean(plddt),
            _mean(lddt),
            pearson(plddt, lddt),
            pearson(_ranks(plddt), _ranks(lddt)),
            _mean(np.abs(plddt - lddt)),
            _mean(np.abs(_mean(lddt) - lddt)),
        )


@dataclass(frozen=True)
class Bin:
    """The n residues whose pLDDT is at least ``low`` and below ``high``; NaN means of none."""

    low: float
    high: float
    n: int
    plddt: float
    lddt: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """How pLDDT compares with the truth, over residues and over chains.

    Attributes:
        bins: residues of all samples by their pLDDT.
        residues: over the residues of all samples.
        chains: over chains, each by the mean over its samples and their residues.
        clears: over chains, the mean error of residues minus that of one number, the mean lDDT of
            all residues, for every residue.
        choice: over chains, lDDT of the sample of highest pLDDT minus the mean over samples: what
            choosing by confidence gains; None for one sample per chain.
        names: [n] chains.
        per_sample: [n, N, 2] pLDDT and lDDT of each of N samples, in the mean over residues.
    """

    bins: tuple[Bin, ...]
    residues: Agreement
    chains: Agreement
    clears: Difference
    choice: Difference | None
    names: tuple[str, ...]
    per_sample: Floats

    @property
    def words(self) -> str:
        """What may be concluded."""
        own, floor = self.residues.error, self.residues.floor_error
        text = (
            f"pLDDT is off by {own:.3f} per residue, one number for all of them by {floor:.3f}; "
            f"the mean of that difference within chains is {self.clears.text()}."
        )
        if self.choice is not None:
            count = self.per_sample.shape[1]
            gain = self.choice.text()
            text += f" lDDT of the surest of {count} samples minus the mean of them: {gain}."
        return text + self.clears.caution

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "bins": [asdict(each) for each in self.bins],
            "residues": asdict(self.residues),
            "chains": asdict(self.chains),
            "error_minus_floor": self.clears.to_dict(),
            "surest_minus_mean": self.choice and self.choice.to_dict(),
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """For ``confidence.csv``: a row for each chain and sample."""
        return [
            {"chain": name, "sample": number, "plddt": float(own[0]), "lddt": float(own[1])}
            for name, samples in zip(self.names, self.per_sample, strict=True)
            for number, own in enumerate(samples, start=1)
        ]


def calibrate(chains: Sequence[Chain], samples: Samples, seed: int = 0) -> Calibration:
    """Put the pLDDT of samples beside their Cα lDDT.

    Residues without a known Cα, or without another within 15 Å, have no lDDT and are left out.

    Args:
        chains: the native chains; at least one has a residue with an lDDT.
        samples: of these chains, by a model that gives ``plddt``.
        seed: of the bootstrap over chains.
    """
    found = {chain.name: _compare(chain, samples) for chain in chains}
    found = {name: each for name, each in found.items() if each.size}
    plddt, lddt = np.concatenate([each.reshape(-1, 2) for each in found.values()]).T
    per_sample = np.stack([each.mean(1) for each in found.values()])
    own = [np.abs(each[..., 0] - each[..., 1]).mean() for each in found.values()]
    floor = [np.abs(lddt.mean() - each[..., 1]).mean() for each in found.values()]
    choice = None
    if per_sample.shape[1] > 1:
        # Over all residues, as --best-of chooses, those without an lDDT among them.
        sure = np.stack([samples.plddt[name].double().mean(1).numpy() for name in found])
        lddts = per_sample[..., 1]
        surest = np.take_along_axis(lddts, sure.argmax(1)[:, None], 1)[:, 0]
        choice = Difference.of(surest, lddts.mean(1), seed)
    return Calibration(
        _bins(plddt, lddt),
        Agreement.of(plddt, lddt),
        Agreement.of(*per_sample.mean(1).T),
        Difference.of(own, floor, seed),
        choice,
        tuple(found),
        per_sample,
    )


def pearson(x: Floats, y: Floats) -> float:
    """Correlation of two arrays [n]; NaN where one is constant."""
    x, y = x - _mean(x), y - _mean(y)
    size = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / size if size > 0 else float("nan")


def _ranks(x: Floats) -> Floats:
    """[n] ranks; equal numbers have the mean of theirs."""
    _, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    last: Floats = counts.cumsum()
    return (last - (counts - 1) / 2)[inverse]


def _compare(chain: Chain, samples: Samples) -> Floats:
    """[N, k, 2] pLDDT and lDDT of the k residues of a chain that have one, in N samples."""
    known = torch.from_numpy(chain.ca_mask)
    traces = samples.traces[chain.name][:, known].double()
    truth = torch.from_numpy(chain.ca)[known].double().expand_as(traces)
    lddt = residue_lddt(traces, truth)
    both = torch.stack([samples.plddt[chain.name][:, known].double(), lddt], -1)
    return both[:, lddt[0].isfinite()].numpy()


def _bins(plddt: Floats, lddt: Floats) -> tuple[Bin, ...]:
    place = (plddt * BINS).astype(int).clip(0, BINS - 1)
    return tuple(
        Bin(k / BINS, (k + 1) / BINS, int(own.sum()), _mean(plddt[own]), _mean(lddt[own]))
        for k in range(BINS)
        for own in [place == k]
    )


def _mean(x: Floats) -> float:
    return float(x.mean()) if len(x) else float("nan")
