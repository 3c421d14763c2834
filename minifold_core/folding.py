"""From sequences to sampled structures: batching by length, one protein's trunk once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.data.batching import pad_embeddings
from minifold_core.data.limits import MAX_LENGTH
from minifold_core.data.records import Chain
from minifold_core.diffusion.sampler import Samples, Trajectory, run_trunk, sample
from minifold_core.errors import MinifoldError, RequestError, is_out_of_memory
from minifold_core.memory import available_memory, least_memory
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.objective import build_process

PAIRS_AT_ONCE = 2**18
"""Residue pairs, padding included, of the samples of a batch: 26 of 100 residues, or one of 500."""


@dataclass(frozen=True)
class Target:
    """A protein to sample: its name, one-letter sequence and positions along the chain.

    ``embeddings`` [L, e] are precomputed features of its residues, for a model that reads them.
    """

    name: str
    sequence: str
    residue_index: Tensor | None = None
    embeddings: NDArray[np.floating] | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, chain: Chain) -> Target:
        """The sequence of a packed chain."""
        index = torch.from_numpy(chain.residue_index).long()
        return cls(chain.name, chain.sequence, index, chain.embeddings)

    @property
    def stem(self) -> str:
        """The name, as a file may be called."""
        return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in self.name)


@dataclass(frozen=True)
class Fold:
    """One sample: [L, 3] Cα in ångström, the ``copy``-th of its target (from 1).

    Attributes:
        backbone: [L, 4, 3] N, Cα, C, O in ångström, of a model that places them.
        sidechain: [L, 10, 3] side-chain atoms in ångström, in the order of
            :data:`~minifold_core.residues.SIDECHAIN_ATOMS`, of a model that places them.
        trajectory: the K steps that led there, each tensor [K, L, 3], if they were recorded.
        plddt: [L] lDDT of each residue, 0 to 1, as the model expects it, of a model that does.
        drawn: the mean ``plddt`` of each sample that this one is the best of, in the order in which
            they were drawn; empty if none was chosen (see :mod:`minifold_core.choosing`).
        seconds: its equal share of the time that its batch took.
    """

    target: Target
    copy: int
    coords: Tensor
    backbone: Tensor | None = None
    sidechain: Tensor | None = None
    trajectory: Trajectory | None = None
    plddt: Tensor | None = None
    drawn: tuple[float, ...] = ()
    seconds: float = 0.0

    @property
    def mean_plddt(self) -> float | None:
        """The mean over residues, if the model says how sure it is."""
        return None if self.plddt is None else float(self.plddt.double().mean())


def fold(
    model: FoldModel,
    targets: Sequence[Target],
    settings: SamplingConfig,
    *,
    count: int = 1,
    seed: int = 0,
    device: torch.device | str = "cpu",
    at_once: int | None = None,
    skip: Collection[tuple[str, int]] = (),
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
        skip: names of targets with copy numbers that are not wanted; the others come out as they
            would with them.
        record: keep the trajectory of every sample.
        on_step: called with 1 after every step of every batch; see :func:`steps_of`.

    Returns:
        Samples as soon as their batch is done, targets in order of length.

    Raises:
        RequestError: the longest target cannot fit into the memory there is; at once.
        MinifoldError: memory does not suffice after all; the message says what to lower. Or a
            sample is not finite.
    """
    model = model.to(device).eval()
    groups = _groups(targets, count, at_once, skip)
    _refuse_what_cannot_fit(model, [target for group, _ in groups for target in group], settings)

    def folds() -> Iterator[Fold]:
        process = build_process(model.recipe)
        for group, shares in groups:
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
                        generators=[_generator(seed, each, k) for each in group for k in copies],
                        **settings.model_dump(),
                        self_condition=model.recipe.training.self_conditioning > 0,
                        copies=len(copies),
                        trunks=trunks,
                        record=record,
                        on_step=lambda done, total: on_step(1),
                    )
                named = ((target, copy) for target in group for copy in copies)
                done = [_fold(samples, row, *which) for row, which in enumerate(named)]
                seconds = (time.perf_counter() - began) / len(done)
                yield from (replace(each, seconds=seconds) for each in done)
                began = time.perf_counter()

    return folds()


def steps_of(
    targets: Sequence[Target],
    settings: SamplingConfig,
    count: int = 1,
    at_once: int | None = None,
    skip: Collection[tuple[str, int]] = (),
) -> int:
    """How many steps :func:`fold` will report."""
    groups = _groups(targets, count, at_once, skip)
    return settings.steps * sum(len(shares) for _, shares in groups)


def _groups(
    targets: Sequence[Target],
    count: int,
    at_once: int | None,
    skip: Collection[tuple[str, int]] = (),
) -> list[tuple[list[Target], list[list[int]]]]:
    """Targets that share a pass of the trunk, and copy numbers that are denoised together."""
    groups: list[tuple[list[Target], list[list[int]]]] = []
    group: list[Target] = []
    shared: list[int] = []
    # From short to long: the last of a group is the one that the others are padded to.
    for target in sorted(targets, key=lambda target: len(target.sequence)):
        copies = [copy for copy in range(1, count + 1) if (target.name, copy) not in skip]
        room = max(1, PAIRS_AT_ONCE // len(target.sequence) ** 2)
        room = min(room, at_once or room)
        if group and copies == shared and (len(group) + 1) * len(copies) <= room:
            group.append(target)
        elif copies:
            group, shared = [target], copies
            groups.append((group, [copies[k : k + room] for k in range(0, len(copies), room)]))
    return groups


def _refuse_what_cannot_fit(
    model: FoldModel, targets: Sequence[Target], settings: SamplingConfig
) -> None:
    """Look whether one sample of the longest target can fit, if it is longer than usual."""
    longest = max(targets, key=lambda target: len(target.sequence), default=None)
    if longest is None or (length := len(longest.sequence)) <= MAX_LENGTH:
        return
    device = next(model.parameters()).device
    there = available_memory(device)
    if there is None:
        return
    need = least_memory(model, length, branches=1 if settings.guidance in (0, 1) else 2)
    if need is not None and need > there:
        raise RequestError(
            f"{longest.name} has {length} residues: to sample it takes at least "
            f"{need / 2**30:,.1f} GiB of memory, and {device} has {there / 2**30:,.1f} GiB free; "
            "sample shorter chains, or on another --device"
        )


def _fold(samples: Samples, row: int, target: Target, copy: int) -> Fold:
    """One row of a batch, on the CPU and without its padding."""
    length = len(target.sequence)

    def own(rows: Tensor) -> Tensor:
        return rows[:length].clone().cpu()

    backbone, sidechain, steps = samples.backbone, samples.sidechain, samples.trajectory
    plddt = samples.plddt
    coords = own(samples.coords[row])
    if not coords.isfinite().all():
        raise MinifoldError(f"sample {copy} of {target.name} is not finite")
    return Fold(
        target,
        copy,
        coords,
        None if backbone is None else own(backbone[row]),
        None if sidechain is None else own(sidechain[row]),
        None if steps is None else steps.of(row, length),
        None if plddt is None else own(plddt[row]),
    )


@contextmanager
def _naming_what_to_lower(
    batch: ProteinBatch, samples: int, settings: SamplingConfig
) -> Iterator[None]:
    """Turn a want of memory for ``samples`` structures of ``batch`` into words of help."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
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
    embeddings = pad_embeddings([target.embeddings for target in targets])
    return replace(batch, residue_index=index, embeddings=embeddings)
