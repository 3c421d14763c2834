"""The directory of an evaluation: finished, or unfinished and to be gone on with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minifold_core.asked import changes, read_asked
from minifold_core.cli.output import check_out
from minifold_core.console import going_on
from minifold_core.errors import ProtectedError
from minifold_core.results import write_json

RESULT = "evaluation.json"
UNFINISHED = "unfinished"
"""A directory in that of an evaluation, there until it is complete."""
ASKED = "asked.json"


def check_evaluation_out(out: Path | None) -> None:
    """Refuse a directory that holds anything but an unfinished evaluation.

    Raises:
        ProtectedError: it does, or it is a file.
    """
    if out is None or (out / UNFINISHED / ASKED).is_file():
        return
    if (out / RESULT).is_file():
        raise ProtectedError(f"--out {out} holds a finished evaluation; choose another directory")
    check_out(out)


@contextmanager
def unfinished(out: Path | None, asked: Mapping[str, Any]) -> Iterator[None]:
    """Mark a directory as unfinished while results are made for it, and say how to go on.

    Args:
        out: one that :func:`check_evaluation_out` lets pass.
        asked: all that samples and scores depend on, as JSON can hold it.

    Raises:
        ProtectedError: the directory holds an unfinished evaluation of something else.
        RequestError: its record cannot be read.
        MinifoldError: the record cannot be written.
    """
    if out is None:
        yield
        return
    record = out / UNFINISHED / ASKED
    if not record.is_file():
        write_json(record, asked)
    elif changed := changes(read_asked(record, asked), asked):
        raise ProtectedError(
            f"--out {out} holds an unfinished evaluation that was asked otherwise: "
            f"{'; '.join(changed)}. Repeat the command as it was, or choose another directory"
        )
    with going_on("the evaluation"):
        yield
    shutil.rmtree(out / UNFINISHED)
