"""Downloading one file over HTTP, with progress, whole and checked or not at all."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from minifold_core.console import progress
from minifold_core.errors import MinifoldError, ProtectedError
from minifold_core.files import atomic

MIB = 2**20
TIMEOUT_S = 60


def download(url: str, path: Path, sha256: str | None = None) -> Path:
    """Download a file to ``path``, unless a file with that hash is there already.

    Args:
        url: where it is.
        path: where to put it; directories are made.
        sha256: what its hash must be; None: it is not known, and any file that is there is kept.

    Returns:
        ``path``.

    Raises:
        MinifoldError: no connection, no such file, or no room for it.
        ProtectedError: the file has another hash; nothing was kept.
    """
    import pooch

    if path.is_file() and sha256 in (None, pooch.file_hash(str(path))):
        return path
    pooch.get_logger().setLevel("WARNING")
    with atomic(path) as temporary, ExitStack() as stack:
        bar = _Bar(path.name, stack)
        downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=MIB, timeout=TIMEOUT_S)
        try:
            pooch.retrieve(url, sha256, temporary.name, temporary.parent, None, downloader)
        except OSError as error:
            raise MinifoldError(f"{url}: cannot be fetched ({error})") from error
        except ValueError as error:
            raise ProtectedError(f"{url}: SHA-256 is not {sha256}; nothing was kept") from error
    return path


class _Bar:
    """What pooch takes for a progress bar; draws one on the console, in MiB."""

    total = 0

    def __init__(self, name: str, stack: ExitStack) -> None:
        self._name, self._stack = name, stack
        self._advance: Callable[[int], None] | None = None
        self._complete = False

    def update(self, size: int) -> None:
        """``size`` more bytes; pooch fills the bar once more at the end, which is not drawn."""
        if self._advance is None:
            bar = progress(f"{self._name} (MiB)", self.total // MIB)
            self._advance = self._stack.enter_context(bar)
        if not self._complete:
            self._advance(size // MIB)

    def reset(self) -> None:
        """The download is complete."""
        self._complete = True

    def close(self) -> None:
        """Nothing to do: the stack closes the bar."""
