"""Gates 3 and 4: what a version can learn by heart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.floors import floor_predictions, mirror_image
from minifold_core.evaluation.metrics import tm_score
from minifold_core.evaluation.shuffled import shuffled
from minifold_core.evaluation.tm import SAME_FOLD
from minifold_core.folding import Target, fold, steps_of
from minifold_core.gates.chains import unrelated
from minifold_core.gates.overfit import Overfit, Progress
from minifold_core.gates.record import Finding
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.averages import Averages
from minifold_core.training.randomness import generator

ONE = "one"
SIXTEEN = "sixteen"
"""Names of the runs."""

MOST_STEPS_ONE = 2000
TM_ONE = 0.95
TM_SIXTEEN = 0.9
ABOVE_FLOOR = 0.05
SAMPLES_ONE = 8


def one_chain_gate(plan: Overfit, device: torch.device, progress: Progress) -> Finding:
    """G3: trained on one chain alone, sampling from noise returns it.

    Args:
        plan: of the training.
        device: where to compute.
        progress: shows it.
    """
    (chain,) = plan.chains
    model = plan.train(device, progress)
    samples = sampled(model, [chain], SAMPLES_ONE, plan.seed, progress)
    tm, mirrored = scores(samples, [chain] * SAMPLES_ONE)
    mean = float(tm.mean())
    return Finding.judged(
        "g3",
        f"one chain ({len(chain)} residues): sampled TM > {TM_ONE:g} after at most "
        f"{MOST_STEPS_ONE:,} steps",
        f"TM {mean:.3f} after {plan.steps:,} steps{_hand(mirrored)}",
        mean > TM_ONE and plan.steps <= MOST_STEPS_ONE,
        {
            "chain": chain.name,
            "steps": plan.steps,
            "tm": mean,
            "samples": tm.tolist(),
            "mirrored": int(mirrored.sum()),
        },
    )


def sixteen_chains_gate(
    plan: Overfit, library: Iterable[Chain], device: torch.device, progress: Progress
) -> Finding:
    """G4: trained on sixteen chains, the sequence decides which of them sampling returns.

    The same noise is denoised twice: with each chain's own sequence, and with its residues in
    another order.

    Args:
        plan: of the training.
        library: chains that the floors know.
        device: where to compute.
        progress: shows it.
    """
    chains, seed = plan.chains, plan.seed
    model = plan.train(device, progress)
    own, mirrored = scores(sampled(model, chains, 1, seed, progress), chains)
    others = [shuffled(chain, seed) for chain in chains]
    mixed, _ = scores(sampled(model, others, 1, seed, progress), chains)
    floors = _floors(chains, library, seed)
    best = max(floors, key=lambda name: floors[name])
    limit = floors[best] + ABOVE_FLOOR
    means = {"own": float(own.mean()), "shuffled": float(mixed.mean())}
    return Finding.judged(
        "g4",
        f"{len(chains)} chains: sampled TM > {TM_SIXTEEN:g} with their own sequences, and with "
        f"shuffled ones < {limit:.2f} (best floor, {best}, {floors[best]:.2f} + {ABOVE_FLOOR:g})",
        f"TM own {means['own']:.3f}, shuffled {means['shuffled']:.3f} after {plan.steps:,} steps"
        f"{_hand(mirrored)}",
        means["own"] > TM_SIXTEEN and means["shuffled"] < limit,
        means
        | {
            "steps": plan.steps,
            "floors": floors,
            "mirrored": int(mirrored.sum()),
            "chains": _rows(chains, own, mixed),
        },
    )


def sampled(
    model: FoldModel,
    chains: Sequence[Chain],
    count: int,
    seed: int,
    progress: Progress,
    settings: SamplingConfig | None = None,
) -> list[Tensor]:
    """``count`` traces [L, 3] (Å) of each chain in order, drawn from the noise of its name.

    Settings are the recipe's unless given.
    """
    targets = [Target.of(chain) for chain in chains]
    settings = settings or model.recipe.sampling
    total = steps_of(targets, settings, count)
    device = next(model.parameters()).device
    with progress(f"{model.recipe.id} sampling", total, 0) as advance:
        made = fold(
            model, targets, settings, count=count, seed=seed, device=device, on_step=advance
        )
        by_name = {(done.target.name, done.copy): done.coords for done in made}
    return [by_name[chain.name, copy + 1] for chain in chains for copy in range(count)]


def scores(traces: Sequence[Tensor], chains: Sequence[Chain]) -> tuple[Tensor, Tensor]:
    """TM-scores [n], and [n] True where the sample has the fold in its mirror image."""
    batch = collate(chains)
    padded = torch.nn.utils.rnn.pad_sequence(list(traces), batch_first=True)
    tm = tm_score(padded, batch.ca, batch.ca_mask)
    other_hand = tm_score(mirror_image(padded), batch.ca, batch.ca_mask)
    return tm, (other_hand > tm) & (other_hand > SAME_FOLD)


def _floors(chains: Sequence[Chain], library: Iterable[Chain], seed: int) -> dict[str, float]:
    """Mean TM-score of every floor, each chain without its relatives in the library."""
    library, sums = list(library), Averages()
    for chain in chains:
        batch = collate([chain])
        own = generator(seed, "floors", chain.name)
        for name, trace in floor_predictions(batch, unrelated(chain, library), own).items():
            sums.add_each(name, tm_score(trace, batch.ca, batch.ca_mask))
    return sums.means()


def _hand(mirrored: Tensor) -> str:
    count = int(mirrored.sum())
    return f"; {count} of {len(mirrored)} mirrored" if count else ""


def _rows(chains: Sequence[Chain], own: Tensor, mixed: Tensor) -> list[Mapping[str, Any]]:
    return [
        {"name": chain.name, "length": len(chain), "own": float(a), "shuffled": float(b)}
        for chain, a, b in zip(chains, own, mixed, strict=True)
    ]
