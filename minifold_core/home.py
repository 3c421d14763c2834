"""The directory where minifold keeps what is the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from minifold_core.errors import RequestError

HOME_VARIABLE = "MINIFOLD_HOME"
"""Environment variable naming another directory than ``~/.minifold``."""


def home() -> Path:
    """``$MINIFOLD_HOME``, else ``~/.minifold``; it need not exist.

    Raises:
        RequestError: the user has no home directory and the variable is not set.
    """
    try:
        return Path(os.environ.get(HOME_VARIABLE) or "~/.minifold").expanduser().absolute()
    except RuntimeError:
        raise RequestError(f"no home directory is known; set {HOME_VARIABLE} to one") from None
