"""Signals while training: finish the step, save, leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stop:
    """Whether someone asked to stop, and the exit code that says so: 0 while nobody did."""

    def __init__(self) -> None:
        self.code = 0

    def ask(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; a second Ctrl-C does not wait."""
        if self.code and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.code = self.code or 128 + (
            signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        )


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGUSR1 into a request that is honoured between two steps."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    before = {number: signal.signal(number, stop.ask) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
