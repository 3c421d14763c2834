"""Samples of many chains, gathered by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor

from minifold_core.data.records import Chain
from minifold_core.folding import Fold, Target, fold
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig


@dataclass(frozen=True)
class Samples:
    """Samples of chains, and the seconds that one took.

    Attributes:
        traces: name to [N, L, 3] Cα in ångström.
        backbones: name to [N, L, 4, 3] N, Cα, C, O in ångström; empty if the model places none.
        seconds: the mean over samples.
        plddt: name to [N, L] lDDT, 0 to 1, that the model expects; empty if it expects none.
    """

    traces: dict[str, Tensor]
    backbones: dict[str, Tensor]
    seconds: float
    plddt: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def joined(cls, several: Sequence[Samples]) -> Samples:
        """The samples of several models of the same chains, one model's after another's."""
        first = several[0]
        return cls(
            {name: torch.cat([each.traces[name] for each in several]) for name in first.traces},
            {
                name: torch.cat([each.backbones[name] for each in several])
                for name in first.backbones
            },
            sum(each.seconds for each in several) / len(several),
            {name: torch.cat([each.plddt[name] for each in several]) for name in first.plddt},
        )


def sample_chains(
    model: FoldModel,
    chains: Sequence[Chain],
    settings: SamplingConfig,
    *,
    count: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    at_once: int | None = None,
    kept: Mapping[tuple[str, int], Fold] = MappingProxyType({}),
    on_step: Callable[[int], None] = lambda steps: None,
    on_fold: Callable[[Fold], None] = lambda done: None,
) -> Samples:
    """Sample every chain ``count`` times; ``on_fold`` gets each sample as soon as it is there.

    Those that are ``kept`` from an earlier call, by name and copy number, are taken as they are.

    A sample's noise is decided by seed, chain and copy number, whatever the model: models that
    are sampled with one seed start from the same noise. See :func:`~minifold_core.folding.fold`.
    """
    folds = dict(kept)
    for done in fold(
        model,
        [Target.of(chain) for chain in chains],
        settings,
        count=count,
        seed=seed,
        device=device,
        at_once=at_once,
        skip=kept,
        on_step=on_step,
    ):
        on_fold(done)
        folds[done.target.name, done.copy] = done
    copies = range(1, count + 1)
    ordered = {chain.name: [folds[chain.name, copy] for copy in copies] for chain in chains}
    return Samples(
        _stacked(ordered, lambda done: done.coords),
        _stacked(ordered, lambda done: done.backbone),
        sum(done.seconds for done in folds.values()) / len(folds),
        _stacked(ordered, lambda done: done.plddt),
    )


def _stacked(
    folds: Mapping[str, Sequence[Fold]], part: Callable[[Fold], Tensor | None]
) -> dict[str, Tensor]:
    """A part of all samples of each chain; empty if the model does not give it."""
    found = {
        name: [value for done in own if (value := part(done)) is not None]
        for name, own in folds.items()
    }
    return {name: torch.stack(values) for name, values in found.items() if values}
