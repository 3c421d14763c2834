"""The command line in a process of its own, for tests that would otherwise import torch every time.

A server that has imported what minifold needs, but nothing of minifold itself, is asked to fork for
every command: what runs there is as fresh as after a start.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

Result = subprocess.CompletedProcess[str]
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "torch",
        "safetensors.torch",
        "pydantic",
        "typer",
        "rich.console",
        "rich.progress",
        "rich.table",
        "biotite.structure.io",
        "matplotlib.figure",
    ]
)


def command(arguments: Sequence[str], cwd: Path, environment: Mapping[str, str]) -> Result:
    """Run ``minifold`` with its standard output and error captured, and nothing to read.

    ``PYTHONPATH`` and the like have no effect: they count at the start of an interpreter alone.

    Args:
        arguments: what a user types behind ``minifold``.
        cwd: the directory that the user is in.
        environment: all variables.
    """
    with tempfile.TemporaryDirectory() as scratch:
        streams = [Path(scratch, name) for name in ("stdout", "stderr")]
        process = PROCESSES.Process(target=_run, args=(arguments, cwd, dict(environment), streams))
        process.start()
        process.join()
        output, errors = (stream.read_text(encoding="utf-8") for stream in streams)
    assert process.exitcode is not None
    return Result(["minifold", *arguments], process.exitcode, output, errors)


def _run(
    arguments: Sequence[str], cwd: Path, environment: dict[str, str], streams: Sequence[Path]
) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, stream in enumerate(streams, start=1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["minifold", *arguments]
    from minifold_core.cli.main import main

    main()
