"""``train --profile``: where the time of a few steps went, by phase and by operator."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.cli.output import table
from minifold_core.console import Advance, note

if TYPE_CHECKING:
    import torch
    from rich.table import Table
    from torch.profiler import profile

WARM_UP, MEASURED = 3, 5
"""Steps left out, in which memory is claimed and parts are compiled; and steps measured."""
OPERATORS = 8
TRACE = "trace.json"


@contextmanager
def profiled(advance: Advance, directory: Path, device: torch.device) -> Iterator[Advance]:
    """Profile steps 4 to 8, print their table at once, and leave every event in ``trace.json``.

    Args:
        advance: what is called after every step.
        directory: of the run.
        device: where the model computes.

    Yields:
        ``advance``, which also tells the profiler that a step is over.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # else it prints that it starts and stops
    from rich.console import Console
    from torch.profiler import ProfilerActivity, profile, schedule

    from minifold_core.files import atomic

    measured = 0

    def tell(made: profile) -> None:
        nonlocal measured
        events = on_cpu(made.key_averages())
        measured = sum(event.count for event in events if event.key.startswith("ProfilerStep"))
        if not measured:
            return
        Console(stderr=True).print(time_table(events, measured, device.type == "cuda"))
        with atomic(directory / TRACE) as path:
            made.export_chrome_trace(str(path))
        note(f"every event: {directory / TRACE}, for chrome://tracing or ui.perfetto.dev")

    kinds = [ProfilerActivity.CPU]
    kinds += [ProfilerActivity.CUDA] if device.type == "cuda" else []
    plan = schedule(wait=0, warmup=WARM_UP, active=MEASURED, repeat=1)
    with profile(activities=kinds, schedule=plan, on_trace_ready=tell, acc_events=True) as made:

        def after(steps: int, words: str = "") -> None:
            advance(steps, words)
            made.step()

        yield after
    if not measured:
        note(f"no profile: it begins after {WARM_UP} steps, and the training ended before")


def on_cpu(events: Iterable[Any]) -> list[Any]:
    """The events of the CPU: on a GPU a named phase comes again, as what the GPU did meanwhile."""
    from torch.autograd import DeviceType

    return [event for event in events if event.device_type == DeviceType.CPU]


def time_table(events: Any, steps: int, gpu: bool) -> Table:
    """Milliseconds a step and shares of it: phases, what is in none of them, busiest operators.

    Args:
        events: ``profile.key_averages()``, :func:`on_cpu`.
        steps: how many they span.
        gpu: count operators by their time on the GPU; phases are then the time to launch them.
    """
    from minifold_core.phases import PREFIX

    named = {event.key: event for event in events}
    whole = sum(e.cpu_time_total for key, e in named.items() if key.startswith("ProfilerStep"))
    phases = {k.removeprefix(PREFIX): e for k, e in named.items() if k.startswith(PREFIX)}
    operators = {k: e for k, e in named.items() if not e.is_user_annotation}
    by_phase = {name: event.cpu_time_total for name, event in phases.items()}
    by_phase["everything else"] = whole - sum(by_phase.values())

    def own(event: Any) -> float:
        return float(event.self_device_time_total if gpu else event.self_cpu_time_total)

    by_operator = {f"{k} × {e.count // steps}": own(e) for k, e in operators.items()}
    made = table("", "ms/step", "share", numbers=("ms/step", "share"))
    busiest = "operators on the GPU × calls" if gpu else "operators × calls"
    for title, times, most in (
        ("phases, on the CPU" if gpu else "phases", by_phase, len(by_phase)),
        (busiest, by_operator, OPERATORS),
    ):
        made.add_row(f"[bold]{title}")
        for name, time in sorted(times.items(), key=lambda item: -item[1])[:most]:
            made.add_row(f"  {name}", f"{time / 1000 / steps:.1f}", f"{time / whole:.0%}")
        made.add_section()
    made.add_row("step", f"{whole / 1000 / steps:.1f}", "100%")
    return made
