"""Several processes that train one model together, started by torchrun; usually there is one.

Every process holds the whole model, computes the gradients of its share of each step's proteins and
adds them up with the others', so that the update is that of one process with all of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist

from minifold_core.errors import MinifoldError
from minifold_core.training.averages import Averages

T = TypeVar("T")

TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Group:
    """This process among those that train together: number ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[T]) -> list[T]:
        """This process's part of ``items``."""
        return list(items[self.rank :: self.size])

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by the sum over processes; None stays None where it is so in all.

        What no loss reaches must stand still as it does in one process, and an optimizer moves
        what has a gradient of zero.
        """
        if self.size == 1:
            return
        device = parameters[0].device
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=device)
        given = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([used, *(g.flatten().to(used) for g in given)])
        _together(lambda: dist.all_reduce(flat))
        used, *sums = flat.split([len(used), *(p.numel() for p in parameters)])
        for parameter, users, total in zip(parameters, used.tolist(), sums, strict=True):
            parameter.grad = total.view_as(parameter).to(parameter.dtype) if users else None

    def merge(self, averages: Averages) -> Averages:
        """The averages over what all processes added."""
        if self.size == 1:
            return averages
        parts: list[Averages | None] = [None] * self.size
        _together(lambda: dist.all_gather_object(parts, averages))
        merged = Averages()
        for part in parts:
            assert part is not None
            merged.merge(part)
        return merged

    def first_word(self, text: str) -> str:
        """What the first process has to say that says anything, told to all."""
        if self.size == 1:
            return text
        texts = [text] * self.size
        _together(lambda: dist.all_gather_object(texts, text))
        return next(filter(None, texts), "")

    def highest(self, value: int) -> int:
        """The largest ``value`` of any process: what one knows, all learn."""
        if self.size == 1:
            return value
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        shared: Tensor = torch.tensor(value, device=device)
        _together(lambda: dist.all_reduce(shared, dist.ReduceOp.MAX))
        return int(shared)


def _together(call: Callable[[], object]) -> None:
    """Wait for the other processes; one that is lost ends this one too, in words."""
    try:
        call()
    except RuntimeError as error:
        why = re.sub(r"^\[.*?\] ", "", str(error)).partition(". ")[0].splitlines()[0]
        raise MinifoldError(
            f"another process of this training is lost ({why}); go on from the last state with "
            "torchrun … minifold resume RUN"
        ) from error


@contextmanager
def process_group(device: torch.device) -> Iterator[Group]:
    """Join the processes that torchrun started; alone without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Group()
        return
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
