"""Names for the phases of a computation, by which a profile tells where the time goes."""

from __future__ import annotations

from torch.profiler import record_function

PREFIX = "minifold/"


def phase(name: str) -> record_function:
    """A context whose time ``minifold train --profile`` reports; else it costs microseconds."""
    return record_function(PREFIX + name)
