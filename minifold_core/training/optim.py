"""Optimizer groups per slot, the learning-rate schedule, clipping, and the moving average."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from minifold_core.errors import RequestError, did_you_mean
from minifold_core.model import FoldModel
from minifold_core.recipe_schema import TrainingConfig


def trainable(model: FoldModel) -> dict[str, list[tuple[str, nn.Parameter]]]:
    """Slot path to its named parameters that train; frozen and idle slots are left out."""
    groups = {}
    for step in model.wiring.steps:
        path = step.slot.path
        named = [
            (f"{path}.{n}", p) for n, p in model.part(path).named_parameters() if p.requires_grad
        ]
        if named and path not in model.wiring.idle:
            groups[path] = named
    return groups


def build_optimizer(model: FoldModel, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW with one group per slot, at the learning rate times the slot's factor.

    A factor or norm limit of a frozen or idle slot has nothing to act on and is passed over.

    Raises:
        RequestError: a factor, a norm limit or the tripwire names no slot, or nothing would train.
    """
    slots, known = trainable(model), [step.slot.path for step in model.wiring.steps]
    if not slots:
        raise RequestError(f"{model.recipe.id}: every slot is frozen or idle; nothing would train")
    named: tuple[tuple[str, Iterable[str]], ...] = (
        ("learning_rate_scale", config.learning_rate_scale),
        ("clip_norms", config.clip_norms),
        ("tripwire.slots", config.tripwire.slots),
    )
    for table, paths in named:
        for path in paths:
            if path not in known:
                raise RequestError(
                    f"training.{table}.{path}: no such slot; {did_you_mean(path, known)}"
                )
    groups = [
        {
            "name": path,
            "params": [p for _, p in named],
            "scale": config.learning_rate_scale.get(path, 1.0),
        }
        for path, named in slots.items()
    ]
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
    )


def learning_rate(config: TrainingConfig, epoch: float) -> float:
    """The base learning rate after ``epoch`` epochs (fractions count).

    Linear warm-up from ``warmup_start`` times the peak, a constant stretch, then half a cosine down
    to ``floor`` at the last epoch, or again and again in periods of ``restart_epochs``.
    """
    peak, schedule = config.learning_rate, config.schedule
    if epoch < schedule.warmup_epochs:
        done = epoch / schedule.warmup_epochs
        return peak * (schedule.warmup_start + (1 - schedule.warmup_start) * done)
    start = schedule.warmup_epochs + schedule.constant_epochs
    if epoch <= start or config.epochs <= start:
        return peak
    done = min((epoch - start) / (config.epochs - start), 1.0)
    if schedule.restart_epochs:
        done = (epoch - start) % schedule.restart_epochs / schedule.restart_epochs
    floor = min(schedule.floor, peak)
    return floor + (peak - floor) * (1 + math.cos(math.pi * done)) / 2


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> dict[str, float]:
    """Apply a base rate to every group; return the rate of each slot."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    return {group["name"]: group["lr"] for group in optimizer.param_groups}


def parameters_by_slot(optimizer: torch.optim.Optimizer) -> dict[str, list[nn.Parameter]]:
    """Slot path to the parameters that train."""
    return {group["name"]: group["params"] for group in optimizer.param_groups}


def gradient_norms(optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Slot path to the norm of its gradient."""
    return {
        path: float(nn.utils.get_total_norm([p.grad for p in own if p.grad is not None]))
        for path, own in parameters_by_slot(optimizer).items()
    }


def clip_gradients(optimizer: torch.optim.Optimizer, config: TrainingConfig) -> None:
    """Limit gradient norms as the recipe says."""
    slots = parameters_by_slot(optimizer)
    for path, limit in config.clip_norms.items():
        nn.utils.clip_grad_norm_(slots.get(path, ()), limit)
    rest = [
        p for path, parameters in slots.items() if path not in config.clip_norms for p in parameters
    ]
    if rest:
        nn.utils.clip_grad_norm_(rest, config.clip_norm)


class EMA:
    """Exponential moving average of all floating-point tensors of a model.

    The decay warms up as ``min(decay, (1 + n) / (10 + n))`` after ``n`` updates, so that short runs
    do not average over their initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.tensors = {
            name: tensor.detach().clone() for name, tensor in model.state_dict().items()
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, tensor in model.state_dict().items():
            average = self.tensors[name]
            if tensor.is_floating_point():
                average.lerp_(tensor, 1 - decay)
            else:
                average.copy_(tensor)

    @contextmanager
    def applied(self, model: nn.Module) -> Iterator[None]:
        """Give the model the averaged weights for a while; its own come back on every way out."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        own: Mapping[str, Tensor] = model.state_dict()
        for name, tensor in own.items():
            kept = tensor.clone()
            tensor.copy_(self.tensors[name])
            self.tensors[name].copy_(kept)
