"""Output for people: notes and progress on stderr, so that stdout carries results alone."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

PLAIN_INTERVAL_S = 10.0
"""Seconds between two progress lines when stderr is no terminal."""


def first_process() -> bool:
    """Whether this is the only process, or the one of torchrun's that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """Print one line for the user on stderr, from the first process."""
    if first_process():
        print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show the progress of long work; the yielded function takes the number of steps just done.

    A rich bar on a terminal, a plain line every few seconds elsewhere.
    """
    if sys.stderr.isatty() and first_process():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield partial(bar.advance, task)
        return

    done, told = 0, time.monotonic()

    def advance(steps: int) -> None:
        nonlocal done, told
        done += steps
        if time.monotonic() - told >= PLAIN_INTERVAL_S:
            told = time.monotonic()
            note(f"{what}: {done}/{total}")

    yield advance
