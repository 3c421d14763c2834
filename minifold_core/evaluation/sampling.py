"""Samples of many chains, gathered by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
    on_step: Callable[[int], None] = lambda steps: None,
    on_fold: Callable[[Fold], None] = lambda done: None,
) -> Samples:
    """Sample every chain ``count`` times; ``on_fold`` gets each sample as soon as it is there.

    A sample's noise is decided by seed, chain and copy number, whatever the model: models that
    are sampled with one seed start from the same noise. See :func:`~minifold_core.folding.fold`.
    """
    traces: dict[str, list[Tensor]] = defaultdict(list)
    backbones: dict[str, list[Tensor]] = defaultdict(list)
    plddt: dict[str, list[Tensor]] = defaultdict(list)
    seconds = 0.0
    for done in fold(
        model,
        [Target.of(chain) for chain in chains],
        settings,
        count=count,
        seed=seed,
        device=device,
        at_once=at_once,
        on_step=on_step,
    ):
        on_fold(done)
        traces[done.target.name].append(done.coords)
        if done.backbone is not None:
            backbones[done.target.name].append(done.backbone)
        if done.plddt is not None:
            plddt[done.target.name].append(done.plddt)
        seconds += done.seconds
    return Samples(
        {name: torch.stack(each) for name, each in traces.items()},
        {name: torch.stack(each) for name, each in backbones.items()},
        seconds / (len(chains) * count),
        {name: torch.stack(each) for name, each in plddt.items()},
    )
