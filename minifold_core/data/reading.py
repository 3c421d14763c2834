"""Reading many inputs at once: work cut into jobs, done in processes, handed on in input order."""

from __future__ import annotations

import signal
import zlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

from minifold_core.data.cath import read_record
from minifold_core.data.files import format_of, open_binary
from minifold_core.data.limits import Limits
from minifold_core.data.records import Chain, Rejection
from minifold_core.data.structures import read_structure
from minifold_core.errors import MinifoldError, RequestError

T = TypeVar("T")
Read = list[Chain | Rejection]
Placed = list[tuple[str, Chain | Rejection]]
"""What was read, with its file; in a chain set, file and line."""
FILES_PER_JOB = 8
LINES_PER_JOB = 64
JOBS_AHEAD = 4
"""Jobs in flight per process; the rest of a large input stays on disk."""
BROKEN_STREAM = (OSError, EOFError, zlib.error)


@dataclass(frozen=True)
class Job:
    """Some entries (files, or lines of a chain set) of one input.

    Attributes:
        source: what they came from; see :func:`minifold_core.data.files.find_inputs`.
        entries: how many.
        read: gives their chains and rejections, with their places.
    """

    source: Path
    entries: int
    read: Callable[[], Placed]


def count_entries(found: Sequence[tuple[Path, Path]]) -> int:
    """Structure files plus lines of chain sets."""
    total = 0
    for path, _ in found:
        if format_of(path) == "jsonl":
            with suppress(*BROKEN_STREAM), open_binary(path) as file:
                total += sum(1 for _ in file)
        else:
            total += 1
    return total


def make_jobs(found: Sequence[tuple[Path, Path]], limits: Limits) -> Iterator[Job]:
    """The jobs that read ``found``, pairs of a file and its source."""
    files: list[Path] = []
    for i, (path, source) in enumerate(found):
        if format_of(path) == "jsonl":
            yield from _line_jobs(path, limits)
            continue
        files.append(path)
        ends = i + 1 == len(found) or found[i + 1][1] != source
        if ends or len(files) == FILES_PER_JOB:
            yield Job(source, len(files), partial(_placed_files, tuple(files), limits))
            files.clear()


def run_jobs(jobs: Iterable[Job], workers: int) -> Generator[tuple[Job, Placed], None, None]:
    """Each job with what it read, in order, on ``workers`` processes (1: in this one).

    Raises:
        MinifoldError: a process was killed.
    """
    if workers == 1:
        yield from ((job, job.read()) for job in jobs)
        return
    ignore_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_IGN)
    pool = ProcessPoolExecutor(workers, initializer=ignore_interrupts)  # Ctrl-C is ours to handle
    waiting: deque[tuple[Job, Future[Placed]]] = deque()
    try:
        for job in jobs:
            waiting.append((job, pool.submit(job.read)))
            if len(waiting) > JOBS_AHEAD * workers:
                done, future = waiting.popleft()
                yield done, future.result()
        for done, future in waiting:
            yield done, future.result()
    except BrokenProcessPool as error:
        raise MinifoldError(
            "a reading process was killed, perhaps for memory; try again with --workers 1"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def read_files(paths: Iterable[Path], limits: Limits) -> Read:
    """The admitted chains of structure files, and a rejection for everything else."""
    read: Read = []
    for path in paths:
        known = format_of(path) in ("pdb", "cif", "bcif")
        try:
            chains = read_structure(path)
        except RequestError as error:
            reason = "unreadable" if known else "unsupported_format"
            read.append(Rejection(str(path), reason, str(error).removeprefix(f"{path}: ")))
            continue
        read += map(limits.admit, chains)
        if not chains:
            read.append(Rejection(str(path), "no_protein", "no amino-acid residue"))
    return read


def read_lines(path: Path, first: int, lines: Iterable[bytes], limits: Limits) -> Placed:
    """The admitted chains of consecutive lines of a chain set, ``first`` being 1-based."""
    read: Placed = []
    for number, line in enumerate(lines, first):
        provenance, place = f"{path.name}:{number}", f"{path}:{number}"
        try:
            read.append((place, limits.admit(read_record(line, provenance))))
        except RequestError as error:
            why = str(error).removeprefix(f"{provenance}: ")
            read.append((place, Rejection(place, "unreadable", why)))
    return read


def _placed_files(paths: Iterable[Path], limits: Limits) -> Placed:
    return [(str(path), read) for path in paths for read in read_files([path], limits)]


def _line_jobs(path: Path, limits: Limits) -> Iterator[Job]:
    first = 1
    try:
        with open_binary(path) as file:
            for lines in _chunks(file, LINES_PER_JOB):
                yield Job(path, len(lines), partial(read_lines, path, first, lines, limits))
                first += len(lines)
    except BROKEN_STREAM as error:
        place = f"{path}:{first}"
        broken = Rejection(place, "unreadable", f"the file breaks off ({error})")
        yield Job(path, 0, partial(list, [(place, broken)]))


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
