"""How fast structures are read and packs are opened: ``python benchmarks/data.py [DIRECTORY]``.

Reading is measured on the structure files in DIRECTORY, with one process and with one per CPU;
opening on packs of 100 and 10,000 chains made of the demo set's chains under new names.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from minifold_core.data import PackedDataset, open_dataset, pack
from minifold_core.data.files import find_inputs
from minifold_core.data.packwriter import write_pack

REPEATS = 20


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Shortest wall time of ``work`` in seconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def cpu_seconds() -> float:
    """CPU time of this process and of its finished children."""
    return sum(os.times()[:4])


def measure_reading(directory: Path, scratch: Path) -> None:
    files = len(find_inputs([directory]))
    for workers in dict.fromkeys((1, os.cpu_count() or 1)):
        cpu, start = cpu_seconds(), time.perf_counter()
        pack([directory], scratch / "read.safetensors", workers=workers, force=True)
        wall, cpu = time.perf_counter() - start, cpu_seconds() - cpu
        print(
            f"pack {files} files, {workers} process(es): {wall:.2f} s wall, {cpu:.2f} s CPU: "
            f"{files / wall:.0f} structures/s, {files / cpu:.0f} per CPU second"
        )


def measure_opening(count: int, scratch: Path) -> None:
    path = scratch / f"{count}.safetensors"
    repeated = islice(cycle(list(open_dataset())), count)
    chains = [replace(chain, name=f"{i:05}.A") for i, chain in enumerate(repeated)]
    write_pack(path, chains, [], {})
    size = path.stat().st_size / 1e6
    seconds = best_of(REPEATS, lambda: PackedDataset.open(path))
    print(f"open {count} chains ({size:.1f} MB): {seconds * 1e3:.2f} ms")
    dataset = PackedDataset.open(path)
    seconds = best_of(3, lambda: [dataset[i] for i in range(count)])
    print(f"read {count} chains one by one: {count / seconds:.0f} chains/s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:]:
            measure_reading(Path(sys.argv[1]), Path(folder))
        for size in (100, 10_000):
            measure_opening(size, Path(folder))
