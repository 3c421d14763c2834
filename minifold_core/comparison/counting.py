"""What a piece of work takes: arithmetic counted, memory traced."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Work = Callable[[], Any]


def count_flops(work: Work) -> int:
    """Floating-point operations of the matrix products in ``work``, forward and backward.

    A multiplication and an addition are two. Counted where torch dispatches them, as they are run,
    so that what checkpointing repeats counts twice; ``einsum`` and the like arrive as products.
    Fused attention is replaced by its products, or it would be missed on a CPU. Elementwise
    arithmetic, norms and softmax are not counted.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def peak_memory(work: Work, device: torch.device) -> int | None:
    """Most bytes of tensors that ``work`` holds at one time beyond what was there before.

    On a GPU from the allocator's own count. On a CPU from the trace of every allocation and release
    by torch; scratch memory of the libraries behind it (oneDNN, MKL), Python and what the system
    rounds up are not in it. None where neither is there to ask.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        work()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type == "cpu":
        return _traced_peak(work)
    return None


def tensor_bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes that tensors hold; shared storage counts once."""
    storages = (tensor.untyped_storage() for tensor in tensors)
    return sum({each.data_ptr(): each.nbytes() for each in storages}.values())


def _traced_peak(work: Work) -> int:
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else it prints that it starts and stops
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as made:
        work()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        made.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = [event for event in events if event.get("name") == "[memory]"]
    held = peak = 0
    for event in sorted(changes, key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak
