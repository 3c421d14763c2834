"""What a training logs, for TensorBoard as well."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any

from minifold_core.console import note
from minifold_core.errors import RequestError

DIRECTORY = "tensorboard"


class Board:
    """TensorBoard's event files of a run; a board without a directory writes nothing."""

    def __init__(self, run: Path | None, step: int = 0) -> None:
        """Open the board.

        Args:
            run: the run's directory, or None.
            step: from here on; what an earlier attempt wrote after it is hidden.

        Raises:
            RequestError: TensorBoard is not installed.
        """
        self.writer: Any = None
        if run is None:
            return
        check_installed()
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(run / DIRECTORY, purge_step=step + 1)

    def add(self, step: int, record: Mapping[str, Any], prefix: str = "") -> None:
        """Log the finite numbers of a record; a full disk ends the board, and not the training."""
        if self.writer is None:
            return
        numbers = {k: v for k, v in record.items() if isinstance(v, int | float) and isfinite(v)}
        try:
            for name in numbers.keys() - {"step", "epoch"}:
                self.writer.add_scalar(f"{prefix}{name}", numbers[name], step)
            self.writer.flush()
        except OSError as error:
            self.writer = None
            note(f"warning: nothing more is logged for TensorBoard: {error}")

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.writer is not None:
            self.writer.close()


def check_installed() -> None:
    """Refuse before anything is done.

    Raises:
        RequestError: TensorBoard is not installed.
    """
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        raise RequestError(
            "--tensorboard needs TensorBoard: pip install 'minifold[tensorboard]'"
        ) from None
