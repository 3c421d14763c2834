"""From sequences to sampled structures: batching by length, one protein's trunk once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.records import Chain
from minifold_core.diffusion.sampler import Samples, Trajectory, run_trunk, sample
from minifold_core.errors import MinifoldError
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.objective import build_process

PAIRS_AT_ONCE = 2**18
"""Residue pairs, padding included, of the samples of a batch: 26 of 100 residues, or one of 500."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""What torch says on CUDA and MPS, and on the CPU of one system or another."""


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
        trajectory: the K steps that led there, each tensor [K, L, 3], if they were recorded.
        seconds: its equal share of the time that its batch took.
    """

    target: Target
    copy: int
    coords: Tensor
    backbone: Tensor | None = None
    trajectory: Trajectory | None = None
    seconds: float = 0.0

    @property
    def radius_of_gyration(self) -> float:
        """Root mean square distance of the Cα atoms from their centre, in ångström."""
        return float((self.coords - self.coords.mean(0)).pow(2).sum(-1).mean().sqrt())


def fold(
    model: FoldModel,
    targets: Sequence[Target],
    settings: SamplingConfig,
    *,
    count: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    at_once: int | None = None,
    record: bool = False,
    on_step: Callable[[int], None] = lambda steps: None,
) -> Iterator[Fold]:
    """Sample ``count`` structures of every target, those of like length together.

    The trunk sees every target once per condition, however many copies are made of it. A sample
    depends on seed, target, copy number and settings; not on what is sampled beside it
    (apart from the last digits, in which batched arithmetic may differ).

    Args:
        model: any model; it is put into evaluation mode on ``device``.
        targets: proteins to sample.
        settings: steps, eta, guidance and temperature.
        count: samples per target.
        seed: of the noise.
        device: where to compute.
        at_once: samples in a batch at most; :data:`PAIRS_AT_ONCE` bounds it too.
        record: keep the trajectory of every sample.
        on_step: called with 1 after every step of every batch; see :func:`steps_of`.

    Yields:
        Samples as soon as their batch is done, targets in order of length.

    Raises:
        MinifoldError: memory does not suffice; the message says what to lower.
    """
    model = model.to(device).eval()
    process = build_process(model.recipe)
    for group, shares in _groups(targets, count, at_once):
        batch = _batch(group).to(device)
        began = time.perf_counter()
        with _naming_what_to_lower(batch, len(group), settings):
            trunks = run_trunk(model, batch, settings.guidance)
        for copies in shares:
            with _naming_what_to_lower(batch, len(group) * len(copies), settings):
                samples = sample(
                    model,
                    process,
                    batch,
                    generators=[_generator(seed, target, k) for target in group for k in copies],
                    **settings.model_dump(),
                    self_condition=model.recipe.training.self_conditioning > 0,
                    copies=len(copies),
                    trunks=trunks,
                    record=record,
                    on_step=lambda done, total: on_step(1),
                )
            named = ((target, copy) for target in group for copy in copies)
            folds = [_fold(samples, row, *which) for row, which in enumerate(named)]
            seconds = (time.perf_counter() - began) / len(folds)
            yield from (replace(done, seconds=seconds) for done in folds)
            began = time.perf_counter()


def steps_of(
    targets: Sequence[Target],
    settings: SamplingConfig,
    count: int = 1,
    at_once: int | None = None,
) -> int:
    """How many steps :func:`fold` will report."""
    groups = _groups(targets, count, at_once)
    return settings.steps * sum(len(shares) for _, shares in groups)


def _groups(
    targets: Sequence[Target], count: int, at_once: int | None
) -> list[tuple[list[Target], list[range]]]:
    """Targets that share a pass of the trunk, and copy numbers that are denoised together."""
    groups: list[tuple[list[Target], list[range]]] = []
    group: list[Target] = []
    # From short to long: the last of a group is the one that the others are padded to.
    for target in sorted(targets, key=lambda target: len(target.sequence)):
        room = max(1, PAIRS_AT_ONCE // len(target.sequence) ** 2)
        room = min(room, at_once or room)
        if group and (len(group) + 1) * count <= room:
            group.append(target)
            continue
        group = [target]
        firsts = range(1, count + 1, room)
        groups.append((group, [range(k, min(k + room, count + 1)) for k in firsts]))
    return groups


def _fold(samples: Samples, row: int, target: Target, copy: int) -> Fold:
    """One row of a batch, on the CPU and without its padding."""
    length = len(target.sequence)

    def own(rows: Tensor) -> Tensor:
        return rows[:length].clone().cpu()

    backbone, steps = samples.backbone, samples.trajectory
    return Fold(
        target,
        copy,
        own(samples.coords[row]),
        None if backbone is None else own(backbone[row]),
        None if steps is None else steps.of(row, length),
    )


@contextmanager
def _naming_what_to_lower(
    batch: ProteinBatch, samples: int, settings: SamplingConfig
) -> Iterator[None]:
    """Turn a want of memory for ``samples`` structures of ``batch`` into words of help."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = any(words in str(error).lower() for words in OUT_OF_MEMORY)
        if not known and not isinstance(error, MemoryError):
            raise
        length = batch.tokens.shape[1]
        mends = ["fewer at once (--at-once)"] if samples > 1 else ["a shorter sequence"]
        mends += ["without guidance"] if settings.guidance not in (0, 1) else []
        raise MinifoldError(
            f"out of memory on {batch.tokens.device} with {samples} "
            f"structure{'s' * (samples > 1)} of up to {length} residues at once: sample "
            f"{', '.join(mends)} or on another --device"
        ) from error


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
