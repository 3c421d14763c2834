"""What training and sampling cost each side: counted, and measured in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from minifold_core.comparison.counting import Work, count_flops, peak_memory, tensor_bytes
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.folding import Target, fold
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import SamplingConfig
from minifold_core.training.parallel import Group
from minifold_core.training.stepper import Stepper

TRAINING, SAMPLING = "a training step", "a sample"
STEPS_FOR_PEAK = 2
"""Steps of the sampler after which its peak does not rise: the second is self-conditioned."""


@dataclass(frozen=True)
class CostPlan:
    """What is measured.

    Attributes:
        length: residues of the protein that is sampled; the chains that are trained on are those
            nearest to it.
        proteins: of a training step.
        rounds: how often each work is timed, after one that is not.
    """

    length: int = 100
    proteins: int = 4
    rounds: int = 5


@dataclass(frozen=True)
class Spread:
    """The median of some repeats, and their quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """From one value a repeat."""
        low, median, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
        return cls(median, low, high)


@dataclass(frozen=True)
class Cost:
    """What one work costs one side.

    Attributes:
        label: the side.
        work: ``a training step`` or ``a sample``.
        about: its size, in words.
        flops: of its matrix products (:func:`~minifold_core.comparison.counting.count_flops`).
        seconds: of wall time.
        ratio: to the first side's seconds, round by round, so that its median need not be the
            ratio of the medians; None where that side does not do this work.
        held_bytes: what stays in memory: weights; in training also their average and the moments.
        peak_bytes: with what is held besides at the fullest moment; None if it cannot be measured.
    """

    label: str
    work: str
    about: str
    flops: int
    seconds: Spread
    ratio: Spread | None
    held_bytes: int
    peak_bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class _Task:
    """Some work of one side: its parts are done one after another, each with its share."""

    label: str
    work: str
    about: str
    parts: tuple[tuple[float, Work], ...]
    brief: Work
    held: Callable[[], int]
    clear: Callable[[], None]


def measure_cost(
    models: Sequence[tuple[str, FoldModel, SamplingConfig | None]],
    chains: Sequence[Chain],
    plan: CostPlan,
    device: torch.device,
    precision: str = "fp32",
    on_work: Callable[[int], None] = lambda works: None,
) -> tuple[Cost, ...]:
    """Count and time training steps and samples, all sides in turn, round after round.

    Other load on the machine then slows all alike. A training step is what ``train`` does for one
    batch, optimizer and average included, at a learning rate of 0; of steps with self-conditioning
    and without the mean is taken. A sample is that of one protein, the trunk included.

    Args:
        models: label, model on ``device`` and the sampler's settings; they stay as they are.
        chains: to train on.
        plan: sizes and repeats.
        device: where to compute.
        precision: of training.
        on_work: called with 1 after every work; see :func:`works_of`.
    """
    tasks = [task for model in models for task in _tasks(*model, chains, plan, device, precision)]
    flops, peaks, seconds = [], [], [list[float]() for _ in tasks]
    for task in tasks:
        flops.append(round(sum(share * count_flops(work) for share, work in task.parts)))
        task.clear()
        peak = peak_memory(task.brief, device)
        task.clear()
        peaks.append(None if peak is None else peak + task.held())
        on_work(1)
    for _ in range(plan.rounds):
        for task, own in zip(tasks, seconds, strict=True):
            own.append(sum(share * _clocked(work, device) for share, work in task.parts))
            on_work(1)
    firsts = {t.work: s for t, s in zip(tasks, seconds, strict=True) if t.label == models[0][0]}
    return tuple(
        Cost(
            task.label,
            task.work,
            task.about,
            counted,
            Spread.of(own),
            Spread.of(np.divide(own, firsts[task.work]).tolist()) if task.work in firsts else None,
            task.held(),
            peak,
        )
        for task, own, counted, peak in zip(tasks, seconds, flops, peaks, strict=True)
    )


def works_of(settings: Sequence[SamplingConfig | None], plan: CostPlan) -> int:
    """How many works :func:`measure_cost` will report."""
    return (plan.rounds + 1) * sum(1 if each is None else 2 for each in settings)


def _tasks(
    label: str,
    model: FoldModel,
    settings: SamplingConfig | None,
    chains: Sequence[Chain],
    plan: CostPlan,
    device: torch.device,
    precision: str,
) -> Iterator[_Task]:
    yield _training(label, model, chains, plan, device, precision)
    if settings is not None:
        yield _sampling(label, model, settings, plan, device)


def _training(
    label: str,
    model: FoldModel,
    chains: Sequence[Chain],
    plan: CostPlan,
    device: torch.device,
    precision: str,
) -> _Task:
    nearest = sorted(chains, key=lambda chain: abs(len(chain) - plan.length))[: plan.proteins]
    batch = collate(nearest).to(device)
    stepper = Stepper(model, device, precision, 0, Group())
    config = stepper.config

    def step(chance: float) -> Work:
        def work() -> None:
            model.train()
            stepper.config = config.model_copy(update={"self_conditioning": chance})
            stepper.take([batch], len(batch), config.epochs, 0.0)

        return work

    def held() -> int:
        moments = (v for each in stepper.optimizer.state.values() for v in each.values())
        return tensor_bytes([*model.state_dict().values(), *stepper.ema.tensors.values(), *moments])

    again = config.self_conditioning
    parts = ((1 - again, step(0.0)), (again, step(1.0)))
    return _Task(
        label,
        TRAINING,
        f"{len(nearest)} chains of {', '.join(str(len(chain)) for chain in nearest)} residues, "
        f"{precision}",
        tuple((share, work) for share, work in parts if share),
        step(float(again > 0)),
        held,
        lambda: stepper.optimizer.zero_grad(set_to_none=True),
    )


def _sampling(
    label: str,
    model: FoldModel,
    settings: SamplingConfig,
    plan: CostPlan,
    device: torch.device,
) -> _Task:
    target = Target("protein", "A" * plan.length)

    def sampling(config: SamplingConfig) -> Work:
        return lambda: list(fold(model, [target], config, device=device))

    brief = settings.model_copy(update={"steps": min(settings.steps, STEPS_FOR_PEAK)})
    return _Task(
        label,
        SAMPLING,
        f"{plan.length} residues, {settings.steps} steps",
        ((1.0, sampling(settings)),),
        sampling(brief),
        lambda: tensor_bytes(model.state_dict().values()),
        lambda: None,
    )


def _clocked(work: Work, device: torch.device) -> float:
    """Seconds of wall time."""
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
