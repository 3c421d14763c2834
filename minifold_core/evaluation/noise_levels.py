"""Where a model learns: its losses and its folds by noise level.

A mean over noise levels hides the fold. At low noise the state itself shows it, and copying the
state scores well; whether a model can fold is decided where the state shows nothing, which is
where the noise is wider than about 7 Å along an axis. Processes number their levels differently,
so the width stands beside the number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.metrics import tm_score
from minifold_core.evaluation.paired import Difference
from minifold_core.evaluation.shuffled import reads_sequence, shuffled
from minifold_core.interfaces import Features, Process
from minifold_core.model import FoldModel
from minifold_core.training.objective import Noised, Objective
from minifold_core.training.validation import validate

SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Of all noise levels: where a single step is judged."""

NOTE = (
    "A mean over noise levels hides the fold: at low noise the state itself shows it; the fold is "
    "decided where σ exceeds about 7 Å."
)

Advance = Callable[[int], None]


@dataclass(frozen=True)
class NoiseLevels:
    """A model by noise level, with the chains' own sequences and with shuffled ones.

    Attributes:
        times: K noise levels.
        sigmas: standard deviation of their noise along an axis in ångström, of a state that is
            scaled so that the structure in it has its true size; the mean over chains.
        state: [K, n] TM-scores of the noised states themselves: what copying its input scores.
        own: [K, n] TM-scores of the structures predicted from them in a single step.
        shuffled: the same from shuffled sequences; None for a model that reads none.
        terms: validation term to its mean in each bin of noise levels, by the bin's name.
        shuffled_terms: the same with shuffled sequences.
        seed: of the bootstrap.
    """

    times: tuple[int, ...]
    sigmas: tuple[float, ...]
    state: Tensor
    own: Tensor
    shuffled: Tensor | None
    terms: dict[str, dict[str, float]]
    shuffled_terms: dict[str, dict[str, float]] | None
    seed: int = 0

    @property
    def differences(self) -> list[Difference] | None:
        """Own minus shuffled TM-score at each noise level."""
        if self.shuffled is None:
            return None
        pairs = zip(self.own, self.shuffled, strict=True)
        return [Difference.of(own, other, self.seed) for own, other in pairs]

    @property
    def steady_terms(self) -> list[str]:
        """Terms of what the trunk alone decides: their mean is the same in every bin."""
        return [term for term, bins in self.terms.items() if steady(bins.values())]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        levels: list[dict[str, Any]] = [
            {"t": t, "sigma": sigma, "state_tm": float(state.mean()), "x0_tm": float(own.mean())}
            for t, sigma, state, own in zip(
                self.times, self.sigmas, self.state, self.own, strict=True
            )
        ]
        if self.shuffled is not None:
            for level, other, gap in zip(
                levels, self.shuffled, self.differences or [], strict=True
            ):
                level |= {"shuffled_x0_tm": float(other.mean()), "over_shuffled": gap.to_dict()}
        return {
            "levels": levels,
            "terms": self.terms,
            "shuffled_terms": self.shuffled_terms,
            "note": NOTE,
        }


def steady(means: Collection[float]) -> bool:
    """Whether what has these means in the bins of noise levels does not depend on noise."""
    return isclose(min(means), max(means), rel_tol=1e-5)


def noise_levels(
    model: FoldModel,
    chains: Sequence[Chain],
    seed: int = 0,
    with_shuffled: bool = True,
    on_batch: Advance = lambda batches: None,
) -> NoiseLevels:
    """Judge a model at noise levels from nearly none to nearly all.

    Noise is decided by a chain's name and the level, and is the same for the shuffled sequence.

    Args:
        model: with a denoiser, on the device to use.
        chains: the native chains.
        seed: of the shuffling and the bootstrap.
        with_shuffled: also shuffle the sequences, if the model reads them.
        on_batch: called with 1 after every batch; see :func:`batches_of`.
    """
    model = model.eval()
    objective = Objective.of(model.recipe)
    own = sorted(chains, key=len)
    sets = [own]
    if with_shuffled and reads_sequence(model):
        sets.append([shuffled(chain, seed) for chain in own])
    steps = [_single_steps(model, objective, each, on_batch) for each in sets]
    terms = [_terms(model, objective, each, on_batch) for each in sets]
    assert objective.process is not None
    times = times_of(objective.process)
    return NoiseLevels(
        times,
        _sigmas(objective, times, own),
        steps[0][0],
        steps[0][1],
        steps[1][1] if len(sets) > 1 else None,
        terms[0],
        terms[1] if len(sets) > 1 else None,
        seed,
    )


def batches_of(model: FoldModel, chains: Sequence[Chain], with_shuffled: bool = True) -> int:
    """How many batches :func:`noise_levels` will report."""
    batches = -(-len(chains) // model.recipe.training.batch_size)
    return batches * 2 * (1 + (with_shuffled and reads_sequence(model)))


def times_of(process: Process) -> tuple[int, ...]:
    """The noise levels at which a single step is judged."""
    last = process.timesteps - 1
    return tuple(dict.fromkeys(min(round(s * process.timesteps), last) for s in SHARES))


def _sigmas(
    objective: Objective, times: Sequence[int], chains: Sequence[Chain]
) -> tuple[float, ...]:
    """In ångström; a unit that is each protein's own size counts by its mean."""
    assert objective.process is not None
    unit = objective.truth(collate(chains)).scale.mean()
    return tuple((unit * objective.process.snr(torch.tensor(times)).rsqrt()).tolist())


@torch.no_grad()
def single_step(
    model: FoldModel, objective: Objective, batch: ProteinBatch, t: int, trunk: Features
) -> tuple[Noised, Features]:
    """The native structures of ``batch`` noised to level ``t``, and what one step predicts of them.

    Args:
        model: in evaluation mode, with a denoiser.
        objective: of the model's recipe.
        batch: B proteins, on the model's device.
        t: the noise level.
        trunk: what ``model.trunk(batch, complete=True)`` gave.
    """
    generators = [_generator(name, t) for name in batch.names]
    noised = objective.noised(batch, generators, range(t, t + 1))
    assert noised is not None
    return noised, objective.predict(model, batch, noised, trunk=trunk)


@torch.no_grad()
def _single_steps(
    model: FoldModel, objective: Objective, chains: Sequence[Chain], on_batch: Advance
) -> tuple[Tensor, Tensor]:
    """TM-scores [K, n] of the noised states, and of what one step makes of them."""
    assert objective.process is not None
    states, predictions = [], []
    for batch in batches(model, chains, on_batch):
        trunk = model.trunk(batch, complete=True)
        scale = objective.truth(batch).scale[:, None, None]
        tm: list[tuple[Tensor, Tensor]] = []
        for t in times_of(objective.process):
            noised, features = single_step(model, objective, batch, t, trunk)
            x0 = features["coords"]
            tm.append(
                (
                    tm_score(noised.coords * scale, batch.ca, batch.ca_mask),
                    tm_score(x0 * scale, batch.ca, batch.ca_mask),
                )
            )
        state, predicted = (torch.stack(each) for each in zip(*tm, strict=True))
        states.append(state)
        predictions.append(predicted)
    return torch.cat(states, 1), torch.cat(predictions, 1)


def _terms(
    model: FoldModel, objective: Objective, chains: Sequence[Chain], on_batch: Advance
) -> dict[str, dict[str, float]]:
    """Means of every validation term in each bin, ramps at their end."""
    means = validate(
        model, objective, batches(model, chains, on_batch), model.recipe.training.epochs
    ).means()
    terms: dict[str, dict[str, float]] = {}
    for name, value in means.items():
        term, _, levels = name.removeprefix("val/").partition("@")
        if levels:
            terms.setdefault(term, {})[levels] = value
    return terms


def batches(model: FoldModel, chains: Sequence[Chain], on_batch: Advance) -> Iterator[ProteinBatch]:
    """The chains in their order, as batches of the recipe's size on the model's device."""
    device = next(model.parameters()).device
    size = model.recipe.training.batch_size
    for start in range(0, len(chains), size):
        yield collate(chains[start : start + size]).to(device)
        on_batch(1)


def _generator(name: str, t: int) -> torch.Generator:
    """Noise of a chain at a level: the same for every model and every order of its residues."""
    return torch.Generator().manual_seed(crc32(f"{name}@t{t}".encode()))
