"""From sequences to sampled structures: batching by length, one protein's trunk once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.records import Chain
from minifold_core.diffusion.sampler import sample
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.objective import build_process

SAMPLES_AT_ONCE = 16


@dataclass(frozen=True)
class Target:
    """A protein to sample: its name, one-letter sequence and positions along the chain."""

    name: str
    sequence: str
    residue_index: Tensor | None = None

    @classmethod
    def of(cls, chain: Chain) -> Target:
        """The sequence of a packed chain."""
        return cls(chain.name, chain.sequence, torch.from_numpy(chain.residue_index).long())

    @property
    def stem(self) -> str:
        """The name, as a file may be called."""
        return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in self.name)


@dataclass(frozen=True)
class Fold:
    """One sample: [L, 3] Cα in ångström, the ``copy``-th of its target (from 1).

    Attributes:
        backbone: [L, 4, 3] N, Cα, C, O in ångström, of a model that places them.
    """

    target: Target
    copy: int
    coords: Tensor
    backbone: Tensor | None = None


def fold(
    model: FoldModel,
    targets: Sequence[Target],
    settings: SamplingConfig,
    *,
    count: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    on_step: Callable[[int], None] = lambda steps: None,
) -> Iterator[Fold]:
    """Sample ``count`` structures of every target, those of like length together.

    A sample depends on seed, target, copy number and settings; not on what is sampled beside it
    (apart from the last digits, in which batched arithmetic may differ).

    Args:
        model: any model; it is put into evaluation mode on ``device``.
        targets: proteins to sample.
        settings: steps, eta and guidance.
        count: samples per target.
        seed: of the noise.
        device: where to compute.
        on_step: called with 1 after every step of every batch; see :func:`steps_of`.

    Yields:
        Samples as soon as their batch is done, targets in order of length.
    """
    model = model.to(device).eval()
    process = build_process(model.recipe)
    for group, copies in _groups(targets, count):
        samples = sample(
            model,
            process,
            _batch(group).to(device),
            generators=[_generator(seed, target, copy) for target in group for copy in copies],
            steps=settings.steps,
            eta=settings.eta,
            guidance=settings.guidance,
            self_condition=model.recipe.training.self_conditioning > 0,
            copies=len(copies),
            on_step=lambda done, total: on_step(1),
        )
        traces = samples.coords.cpu()
        whole = None if samples.backbone is None else samples.backbone.cpu()
        named = [(target, copy) for target in group for copy in copies]
        for row, (target, copy) in enumerate(named):
            length = len(target.sequence)
            backbone = None if whole is None else whole[row, :length].clone()
            yield Fold(target, copy, traces[row, :length].clone(), backbone)


def steps_of(targets: Sequence[Target], settings: SamplingConfig, count: int = 1) -> int:
    """How many steps :func:`fold` will report."""
    return settings.steps * len(_groups(targets, count))


def _groups(targets: Sequence[Target], count: int) -> list[tuple[list[Target], range]]:
    """Targets and copy numbers of each batch: several targets, or a share of one's copies."""
    ordered = sorted(targets, key=lambda target: len(target.sequence))
    size = max(1, SAMPLES_AT_ONCE // count)
    shares = [
        range(first, min(first + SAMPLES_AT_ONCE, count + 1))
        for first in range(1, count + 1, SAMPLES_AT_ONCE)
    ]
    return [
        (ordered[start : start + size], share)
        for start in range(0, len(ordered), size)
        for share in shares
    ]


def _generator(seed: int, target: Target, copy: int) -> torch.Generator:
    """The noise of one sample: its own, whatever else is sampled beside it."""
    return torch.Generator().manual_seed(crc32(f"{seed}/{target.name}/{copy}".encode()))


def _batch(targets: Sequence[Target]) -> ProteinBatch:
    batch = ProteinBatch.from_sequences([t.sequence for t in targets], [t.name for t in targets])
    index = batch.residue_index.clone()
    for row, target in enumerate(targets):
        if target.residue_index is not None:
            index[row, : len(target.sequence)] = target.residue_index
    return replace(batch, residue_index=index)
