"""Judge sampled structures against native ones, beside the floors on the same chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.floors import floor_predictions
from minifold_core.evaluation.metrics import METRICS, compare_structures
from minifold_core.evaluation.report import Report, make_report


@dataclass(frozen=True)
class Judgement:
    """The report over all chains, and the model's scores chain by chain."""

    report: Report
    chains: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return self.report.to_dict() | {"chains": self.chains}


def check_library(chains: Sequence[Chain], library: Iterable[Chain]) -> None:
    """Refuse chains that could not be judged, before anything is sampled.

    Raises:
        RequestError: a chain has no known Cα, or the library has no chain of another entry.
    """
    entries = {chain.entry for chain in library}
    for chain in chains:
        if not chain.ca_mask.any():
            raise RequestError(f"{chain.name} has no known Cα to compare with")
        if not entries - {chain.entry}:
            raise RequestError(
                f"no chain of another entry than {chain.entry} to compare with; add more data"
            )


def judge(
    predicted: Mapping[str, Tensor],
    chains: Sequence[Chain],
    library: Iterable[Chain],
    seed: int = 0,
) -> Judgement:
    """Score one prediction per chain and put the floors beside it.

    Args:
        predicted: chain name to [L, 3] Cα in ångström.
        chains: the native chains.
        library: where the floor of another real chain comes from; best of another split than
            ``chains``, or relatives of theirs may be among it.
        seed: of coils, other chains and the bootstrap.
    """
    batch = collate(chains)
    traces = torch.zeros_like(batch.ca)
    for row, chain in enumerate(chains):
        traces[row, : len(chain.sequence)] = predicted[chain.name]
    target, mask = batch.ca, batch.ca_mask
    generator = torch.Generator().manual_seed(seed)
    floors = floor_predictions(target, mask, batch.names, library, generator)
    scores = compare_structures(traces, target, mask)
    others = {name: compare_structures(trace, target, mask) for name, trace in floors.items()}
    rows = [
        {"name": chain.name, "length": len(chain.sequence)}
        | {metric: float(scores[metric][row]) for metric in METRICS}
        for row, chain in enumerate(chains)
    ]
    return Judgement(make_report(scores, others, seed), rows)
