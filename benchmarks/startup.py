"""How fast the light commands answer: python benchmarks/startup.py

Each is run as a process, warm; the median of 20 runs is what a user waits.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

RUNS = 20
COMMANDS = (
    ["list-models", "--json"],
    ["list-models"],
    ["show", "v13"],
    ["show", "v13", "--resolved"],
    ["compare", "v12b", "v13"],
    ["--help"],
)


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    script = str(Path(sys.executable).with_name("minifold"))
    for label, command in [
        ("python -c pass", [sys.executable, "-c", "pass"]),
        *((f"minifold {' '.join(c)}", [script, *c]) for c in COMMANDS),
    ]:
        seconds(command)
        times = [seconds(command) for _ in range(RUNS)]
        print(
            f"{label:32} {statistics.median(times) * 1000:6.0f} ms (best {min(times) * 1000:.0f})"
        )


if __name__ == "__main__":
    main()
