"""What ends a training early: signals (finish the step, save, leave) and failures."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from minifold_core.console import note
from minifold_core.errors import MinifoldError, is_out_of_memory

if TYPE_CHECKING:
    from minifold_core.training.run import Run
    from minifold_core.training.state import Progress

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


@contextmanager
def saved_on_failure(run: Run, progress: Progress, save: Callable[[], None]) -> Iterator[None]:
    """Save when training fails between two updates, and let the user see why it failed.

    Where there is no room to save either, the state before stays.

    Raises:
        MinifoldError: what went wrong; also for a reader of data that was lost, which may come to
            light in the middle of an update, so that nothing can be saved.
    """
    try:
        yield
    except MinifoldError:
        stopped = f"stopped at step {progress.step}"
        try:
            save()
        except MinifoldError as error:
            note(
                f"{stopped}, which cannot be saved ({error}); go on from the state before: "
                f"{run.go_on}"
            )
        else:
            note(f"{stopped}; state saved in {run.state}")
        raise
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise MinifoldError(
                f"out of memory after step {progress.step}; the last state stays. Train with less "
                "at once: --set training.checkpointing=true, or a lower training.batch_size with "
                f"as much more training.accumulate; or go on on another device: {run.go_on}"
            ) from error
        if "DataLoader worker" not in str(error):
            raise
        raise MinifoldError(
            f"a process that reads the data was lost ({error}); go on from the last state with: "
            f"{run.go_on} --workers 0"
        ) from error
