"""What trained weights say of their training: which slot takes the gradient, and which terms agree.

``minifold diagnose`` shows it. The state of the installation, which ``minifold doctor`` looks at,
is in :mod:`minifold_core.diagnosis`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.interfaces import GatedDenoiser
from minifold_core.model import FoldModel
from minifold_core.training.diagnose_record import (
    ALL,
    Cosine,
    FrameGate,
    SlotBudget,
    TermLoss,
    TermNorm,
    TrainingDiagnosis,
)
from minifold_core.training.objective import Objective
from minifold_core.training.term_gradients import ChainGradients, GradientProbe
from minifold_core.training.validation import noise_bins, validate


def diagnose_training(
    model: FoldModel,
    chains: Sequence[Chain],
    seed: int = 0,
    on_chain: Callable[[int], None] = lambda done: None,
) -> TrainingDiagnosis:
    """Measure gradients and losses on native chains; the weights stay as they are.

    The model is in evaluation mode: no sequence is dropped whole and no prediction fed back. Single
    residues are hidden as in training, for a loss may be about them.

    Args:
        model: on the device to use.
        chains: each counts as one.
        seed: of the noise behind the gradients; that of the losses is validation's.
        on_chain: told after each chain.

    Raises:
        RequestError: the recipe has no active loss, or nothing trains.
    """
    objective = Objective.of(model.recipe)
    probe = GradientProbe(model, objective, seed)
    found = []
    for chain in chains:
        found.append(probe.measure(chain))
        on_chain(1)
    weights = {name: model.recipe.losses[name].final_weight for name in objective.losses}
    config = model.recipe.training
    return TrainingDiagnosis(
        chains=tuple(chain.name for chain in chains),
        seed=seed,
        weights=weights,
        clip_norm=config.clip_norm,
        clip_norms=dict(config.clip_norms),
        gate=frame_gate(model, objective),
        slots=tuple(_budget(slot, found) for slot in probe.slots),
        norms=tuple(_norms(weights, found)),
        cosines=tuple(_cosines(list(weights), found)),
        losses=tuple(_losses(model, objective, weights, chains)),
    )


def frame_gate(model: FoldModel, objective: Objective) -> FrameGate | None:
    """The gate of the model's denoiser over all noise levels of its process, if it has one."""
    if objective.process is None:
        return None
    denoiser = model.part("denoiser")
    if not isinstance(denoiser, GatedDenoiser):
        return None
    times = torch.arange(objective.process.timesteps)
    confidence = denoiser.confidence(objective.process.snr(times))
    return FrameGate(
        above_half=float(confidence.gt(0.5).double().mean()),
        full=float(confidence.ge(1).double().mean()),
        closed=float(confidence.le(0).double().mean()),
    )


def _budget(slot: str, found: Sequence[ChainGradients]) -> SlotBudget:
    totals = [sum(norm**2 for norm in each.norms.values()) for each in found]
    norms = [each.norms[slot] for each in found]
    one_clip = [each.one_clip[slot] for each in found]
    recipe_clip = [each.recipe_clip[slot] for each in found]
    return SlotBudget(
        slot=slot,
        norm=_mean(norms),
        share=_mean(_ratios([norm**2 for norm in norms], totals)),
        one_clip=_mean(one_clip),
        one_clip_kept=_mean(_ratios(one_clip, norms)),
        recipe_clip=_mean(recipe_clip),
        recipe_clip_kept=_mean(_ratios(recipe_clip, norms)),
    )


def _norms(weights: dict[str, float], found: Sequence[ChainGradients]) -> Iterator[TermNorm]:
    for slot in found[0].products:
        for i, (term, weight) in enumerate(weights.items()):
            own = [each.products[slot][i, i].sqrt().item() for each in found]
            if reached := [norm for norm in own if norm > 0]:
                mean = _mean(reached)
                yield TermNorm(slot, term, mean, weight * mean, len(reached))


def _cosines(terms: list[str], found: Sequence[ChainGradients]) -> Iterator[Cosine]:
    by_slot: dict[str, list[Tensor]] = {
        slot: [each.products[slot] for each in found] for slot in found[0].products
    }
    by_slot[ALL] = [torch.stack([*each.products.values()]).sum(0) for each in found]
    for slot, products in by_slot.items():
        shared = [i for i in range(len(terms)) if any(p[i, i] > 0 for p in products)]
        for i, j in combinations(shared, 2):
            both = [p for p in products if p[i, i] > 0 and p[j, j] > 0]
            if slot == ALL and not any(p[i, j] for p in both):
                continue  # no slot is reached by both
            if both:
                own = torch.stack([p[i, j] / (p[i, i] * p[j, j]).sqrt() for p in both])
                deviation = float(own.std()) if len(both) > 1 else math.nan
                yield Cosine(slot, (terms[i], terms[j]), float(own.mean()), deviation, len(both))


def _losses(
    model: FoldModel, objective: Objective, weights: dict[str, float], chains: Sequence[Chain]
) -> Iterator[TermLoss]:
    means = validate(model, objective, _batches(model, chains), epoch=1).means()
    labels = [f"t{b.start}-{b.stop}" for b in noise_bins(objective.process) if b]
    total_bins = dict.fromkeys(labels, 0.0)
    for term, weight in weights.items():
        bins = {label: means[f"val/{term}@{label}"] for label in labels}
        total_bins = {label: total_bins[label] + weight * bins[label] for label in labels}
        yield TermLoss(term, means[f"val/{term}"], bins, _shares(bins))
    yield TermLoss("total", means["val/total_fixed"], total_bins, _shares(total_bins))


def _batches(model: FoldModel, chains: Sequence[Chain]) -> Iterator[ProteinBatch]:
    device, size = next(model.parameters()).device, model.recipe.training.batch_size
    ordered = sorted(chains, key=len)
    for start in range(0, len(ordered), size):
        yield collate(ordered[start : start + size]).to(device)


def _shares(bins: dict[str, float]) -> dict[str, float]:
    whole = sum(bins.values())
    return {label: value / whole if whole else math.nan for label, value in bins.items()}


def _ratios(parts: Iterable[float], wholes: Iterable[float]) -> list[float]:
    """Part by part; left out where the whole is zero."""
    return [part / whole for part, whole in zip(parts, wholes, strict=True) if whole > 0]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan
