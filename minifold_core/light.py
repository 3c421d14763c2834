"""What must not be imported where a command is to answer at once."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

HEAVY = ("torch", "numpy", "biotite", "matplotlib")


@cache
def heavy_imports(statement: str) -> tuple[str, ...]:
    """Which of the heavy libraries a Python statement imports, in a process of its own.

    Whatever this process has imported already has no say in it.

    Raises:
        ImportError: the statement fails; the message is the last line of its traceback.
    """
    code = (
        f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
        f"before = set(sys.modules); {statement}\n"
        f"print(*(m for m in {HEAVY!r} if m in set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImportError((done.stderr or "?").strip().splitlines()[-1])
    return tuple(done.stdout.split())
