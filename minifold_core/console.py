"""Output for people: notes and progress on stderr, so that stdout carries results alone."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

PLAIN_INTERVAL_S = 10.0, 60.0
"""Shortest and longest time between two progress lines when stderr is no terminal, in seconds."""
PLAIN_SHARE = 0.25
"""Between those, the share of the time that the work has taken so far."""


def first_process() -> bool:
    """Whether this is the only process, or the one of torchrun's that speaks and writes."""
    return os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """Print one line for the user on stderr, from the first process."""
    if first_process():
        print(message, file=sys.stderr, flush=True)


@contextmanager
def going_on(what: str) -> Iterator[None]:
    """Say, when it is stopped, that the same command goes on with ``what`` it works at."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        note(f"{what} goes on with: {shlex.join(['minifold', *sys.argv[1:]])}")
        raise


class Advance(Protocol):
    """Tells a display of progress how many steps were just done, and what there is to say."""

    def __call__(self, steps: int, words: str = "") -> None:
        """Show ``steps`` more, and ``words`` beside them."""


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show the progress of long work: what is done, what it says, and how long it will take.

    A rich bar on a terminal; plain lines elsewhere, which get rarer the longer the work takes.

    Args:
        what: a word for it.
        total: its steps.
        done: those that were done before.
    """
    if sys.stderr.isatty() and first_process():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = (*columns, "{task.fields[words]}")
        with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, words="")
            yield lambda steps, words="": bar.update(task, advance=steps, words=words)
        return

    shortest, longest = PLAIN_INTERVAL_S
    before = done
    began = told = time.monotonic()

    def advance(steps: int, words: str = "") -> None:
        nonlocal done, told
        done += steps
        now = time.monotonic()
        if now - told >= min(max(shortest, PLAIN_SHARE * (told - began)), longest):
            told = now
            left = timedelta(seconds=round((total - done) * (now - began) / max(done - before, 1)))
            note(f"{what}: {done}/{total} · {left} left{words and ' · '}{words}")

    yield advance
