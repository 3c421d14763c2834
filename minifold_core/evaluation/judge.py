"""Judge sampled structures against native ones, beside the floors on the same chains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import RequestError
from minifold_core.evaluation.floors import MIRROR, floor_predictions, mirror_image
from minifold_core.evaluation.fold_classes import ClassRow, by_class
from minifold_core.evaluation.metrics import compare_structures
from minifold_core.evaluation.report import Report, make_report
from minifold_core.evaluation.scores import MODEL
from minifold_core.evaluation.shuffled import SHUFFLED

Predicted = Mapping[str, Tensor]
"""Chain name to its sample [L, 3], or samples [N, L, 3], of Cα in ångström."""
Sampled = dict[str, Tensor]
"""Metric to [n, N]: N samples of each of n chains."""
Advance = Callable[[int], None]
SCORED = 5
"""Trivial predictors that a :class:`Bench` scores."""


@dataclass(frozen=True)
class Judgement:
    """The report over all chains, and every predictor's scores chain by chain.

    Attributes:
        report: means over samples and chains, differences, verdict.
        names: n chain names.
        lengths: their residues.
        scores: predictor to metric to [n, N] scores of N samples.
        spread: metric to the standard deviation over a chain's samples, averaged over chains;
            empty for a single sample per chain.
        classes: the model and the floor that is best in TM-score, by class of fold.
    """

    report: Report
    names: tuple[str, ...]
    lengths: tuple[int, ...]
    scores: dict[str, Sampled]
    spread: dict[str, float]
    classes: tuple[ClassRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``: the report, and the model's mean scores of each chain."""
        means = {metric: values.nanmean(1) for metric, values in self.scores[MODEL].items()}
        chains = [
            {"name": name, "length": length} | {m: float(v[row]) for m, v in means.items()}
            for row, (name, length) in enumerate(zip(self.names, self.lengths, strict=True))
        ]
        classes = [row.to_dict() for row in self.classes]
        return self.report.to_dict() | {
            "spread": self.spread,
            "classes": classes,
            "chains": chains,
        }

    def to_rows(self) -> list[dict[str, Any]]:
        """For ``scores.csv``: a row for each chain, predictor and sample."""
        return [
            {"chain": name, "length": length, "predictor": predictor, "sample": sample + 1}
            | {metric: float(values[row, sample]) for metric, values in scores.items()}
            for row, (name, length) in enumerate(zip(self.names, self.lengths, strict=True))
            for predictor, scores in self.scores.items()
            for sample in range(next(iter(scores.values())).shape[1])
        ]


@dataclass(frozen=True)
class Bench:
    """Native chains and what trivial predictors score on them, for any number of samplings.

    Attributes:
        chains: the native chains.
        batch: the same, padded.
        floors: floor to its scores.
        mirror: scores of the exact mirror image of the truth, which is a reference for the hand.
        seed: of the coils, the other chains and the bootstrap.
    """

    chains: tuple[Chain, ...]
    batch: ProteinBatch
    floors: dict[str, Sampled]
    mirror: Sampled
    seed: int

    @classmethod
    def of(
        cls,
        chains: Sequence[Chain],
        library: Iterable[Chain],
        seed: int = 0,
        on_scored: Advance = lambda scored: None,
    ) -> Bench:
        """Score the floors, and tell ``on_scored`` of each; see :func:`judge`."""
        # Of these, whatever their width, no score needs the embeddings.
        batch = collate([replace(chain, embeddings=None) for chain in chains])
        generator = torch.Generator().manual_seed(seed)
        floors = {
            name: _score(trace[:, None], batch, on_scored)
            for name, trace in floor_predictions(batch, library, generator).items()
        }
        mirror = _score(mirror_image(batch.ca)[:, None], batch, on_scored)
        return cls(tuple(chains), batch, floors, mirror, seed)

    def judge(
        self,
        predicted: Predicted,
        shuffled: Predicted | None = None,
        on_scored: Advance = lambda scored: None,
    ) -> Judgement:
        """Put a model's samples beside the floors; see :func:`judge`.

        ``on_scored`` is called with 1 when one sample of every chain has been scored.
        """
        own = self._score(predicted, on_scored)
        others = {} if shuffled is None else {SHUFFLED: self._score(shuffled, on_scored)}
        report = make_report(
            _mean(own),
            {name: _mean(scores) for name, scores in self.floors.items()},
            _mean(self.mirror),
            _mean(others[SHUFFLED]) if others else None,
            self.seed,
        )
        several = own["tm"].shape[1] > 1
        spread = {metric: float(v.std(1).nanmean()) for metric, v in own.items() if several}
        return Judgement(
            report,
            self.batch.names,
            tuple(len(chain) for chain in self.chains),
            {MODEL: own, **others, **self.floors, MIRROR: self.mirror},
            spread,
            by_class(self.batch, _mean(own), _mean(self.floors[report.best["tm"]])),
        )

    def _score(self, predicted: Predicted, on_scored: Advance) -> Sampled:
        counts = {1 if trace.ndim == 2 else len(trace) for trace in predicted.values()}
        traces = torch.zeros(len(self.chains), max(counts), *self.batch.ca.shape[1:])
        for row, chain in enumerate(self.chains):
            traces[row, :, : len(chain)] = predicted[chain.name]
        return _score(traces, self.batch, on_scored)


def judge(
    predicted: Predicted,
    chains: Sequence[Chain],
    library: Iterable[Chain],
    seed: int = 0,
    shuffled: Predicted | None = None,
) -> Judgement:
    """Score predictions and put the floors beside them.

    Several samples of a chain count by their mean score: the best one is never picked.

    Args:
        predicted: the model's samples, of every chain the same number.
        chains: the native chains.
        library: where the floors learn what proteins look like; best of another split than
            ``chains``, or relatives of theirs may be among it.
        seed: of coils, other chains and the bootstrap.
        shuffled: the model's samples of the same chains with their residues in another order.
    """
    return Bench.of(chains, library, seed).judge(predicted, shuffled)


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


def _score(traces: Tensor, batch: ProteinBatch, on_scored: Advance) -> Sampled:
    """Scores [n, N] of traces [n, N, L, 3]."""
    each = []
    for trace in traces.unbind(1):
        each.append(compare_structures(trace, batch.ca, batch.ca_mask, batch.residue_index))
        on_scored(1)
    return {metric: torch.stack([scores[metric] for scores in each], 1) for metric in each[0]}


def _mean(scores: Sampled) -> dict[str, Tensor]:
    """Metric to [n] means over samples."""
    return {metric: values.nanmean(1) for metric, values in scores.items()}
