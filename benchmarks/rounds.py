"""Forms of one layer beside each other: interleaved rounds, so that other load slows all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext

import torch
from rich.table import Table
from torch import Tensor

PLAIN = "plain form"
"""The form that the speed-ups are measured against."""


def compare(title: str, forwards: Mapping[str, Callable[[], Tensor]], rounds: int) -> Table:
    """Medians of forward and backward in fp32 and bf16, and what is kept between the two."""
    table = Table(title=f"{title}, {torch.get_num_threads()} threads")
    for heading in ("precision", "form", "forward + backward [ms]", "speed-up", "kept [MB]"):
        table.add_column(heading)
    for precision in ("fp32", "bf16"):
        times: dict[str, list[float]] = {name: [] for name in forwards}
        kept = {}
        for round_ in range(rounds + 1):
            for name, forward in forwards.items():
                context = torch.autocast("cpu", torch.bfloat16) if precision == "bf16" else None
                with context or nullcontext():
                    if round_ == 0:
                        kept[name] = saved_megabytes(forward)
                    start = time.perf_counter()
                    forward().sum().backward()
                    if round_ > 0:
                        times[name].append(time.perf_counter() - start)
        medians = {name: 1e3 * statistics.median(values) for name, values in times.items()}
        for name, median in medians.items():
            speed_up = f"{medians[PLAIN] / median:.2f}"
            table.add_row(precision, name, f"{median:.1f}", speed_up, f"{kept[name]:.0f}")
    return table


def saved_megabytes(forward: Callable[[], Tensor]) -> float:
    """What autograd keeps between forward and backward, parameters and inputs included."""
    kept: dict[int, int] = {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        out = forward()
    return sum(kept.values()) / 1e6 if out.requires_grad else 0.0
