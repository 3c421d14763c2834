"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from minifold_core.errors import MinifoldError, RequestError


def check_writable(path: Path, option: str) -> None:
    """Refuse a file or directory that cannot be made, before anything is computed.

    Raises:
        RequestError: it cannot; the message names the directory that stands in the way.
    """
    places = (path, *path.absolute().parents)
    nearest = next(each for each in places if os.path.exists(each))  # Path.exists may raise
    if not nearest.is_dir():
        fault = "a file, not a directory"
    elif not os.access(nearest, os.W_OK | os.X_OK):
        fault = "read-only"
    else:
        return
    raise RequestError(
        f"{option} {path} cannot be written: {nearest} is {fault}; choose another {option}"
    )


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``; on success it is flushed to disk and takes its place.

    Parent directories are made. On any failure ``path`` is as it was and nothing is left behind.

    Raises:
        MinifoldError: the file cannot be written; the message names it and the system's reason.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.chmod(0o666 & ~_umask())  # safetensors makes its files unreadable to others
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        # safetensors has the system's reason at the end: "Error while serializing: I/O error: ..."
        why = getattr(error, "strerror", None) or str(error).rpartition(": ")[2]
        raise MinifoldError(f"{path} cannot be written: {why}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
