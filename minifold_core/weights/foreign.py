"""Weights that minifold did not write: wrapped names, nested checkpoints, pickles."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.errors import ProtectedError, RequestError

if TYPE_CHECKING:
    from torch import Tensor

AVERAGE = "ema."
WRAPPERS = ("module.", "_orig_mod.", AVERAGE)
"""What data parallelism, torch.compile and averaging put before every name."""
NESTS = ("ema", "state_dict", "model")
"""Where checkpoints keep their tensors; the average first."""


def is_pickle(path: Path) -> bool:
    """Whether a file is one that ``torch.save`` made, of either format, by its first bytes."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise RequestError(f"weights {path} cannot be read: {error.strerror}") from None
    return start[8:] != b"{" and start.startswith((b"PK\x03\x04", b"\x80"))


def read_pickle(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of a file that ``torch.save`` made, and what was done to find them.

    Nothing in the file is executed: only tensors and plain containers are read.

    Raises:
        ProtectedError: it holds anything else, which could run code when unpickled.
        RequestError: it is damaged, or holds no tensors.
    """
    import torch

    try:
        with warnings.catch_warnings(action="ignore"):  # torch's own, of odd pickles
            found: Any = _load(path)
    except pickle.UnpicklingError as error:
        what = re.search(r"GLOBAL ([\w.]+)", str(error))
        named = f" ({what[1]})" if what else ""
        raise ProtectedError(
            f"{path} holds more than tensors{named}: unpickling it could run code, so it was not "
            "read. Where you trust it, save model.state_dict() alone"
        ) from None
    except Exception as error:  # a damaged pickle may fail in any way
        why = str(error).partition("\n")[0][:200] or type(error).__name__
        raise RequestError(f"{path} is not a weights file ({why})") from None
    notes = ["read as a pickle of torch.save, tensors only"]
    while isinstance(found, Mapping) and (nest := _nest(found)):
        beside = [str(key) for key in found if key != nest]
        notes.append(f"took '{nest}'" + (f" and left {', '.join(beside)}" if beside else ""))
        found = found[nest]
    tensors, others = {}, []
    for name, value in found.items() if isinstance(found, Mapping) else ():
        if isinstance(value, torch.Tensor) and value.layout == torch.strided:
            tensors[str(name)] = value.detach()
        else:
            others.append(str(name))
    if not tensors:
        raise RequestError(f"{path} holds no tensors under names; save model.state_dict()")
    if others:
        notes.append(f"left what is no tensor: {', '.join(others)}")
    return tensors, notes


def _load(path: Path) -> Any:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:  # the format before torch 1.6 cannot be mapped
        return torch.load(path, map_location="cpu", weights_only=True)


def _nest(table: Mapping[Any, Any]) -> str | None:
    return next((key for key in NESTS if isinstance(table.get(key), Mapping)), None)


def unwrap(names: Iterable[str], path: Path) -> tuple[dict[str, str], list[str]]:
    """Names without what wrappers put before them, and what was taken off.

    Where a tensor is there twice, once as its average, the average is taken.

    Returns:
        The bare name to the stored one.

    Raises:
        RequestError: two stored names become the same.
    """
    bare: dict[str, str] = {}
    notes: dict[str, None] = {}
    for name in sorted(names, key=lambda name: not _peel(name)[1].count(AVERAGE)):
        short, taken = _peel(name)
        notes |= {f"took '{wrapper}' off names": None for wrapper in taken}
        if short not in bare:
            bare[short] = name
        elif AVERAGE in _peel(bare[short])[1] and AVERAGE not in taken:
            notes["took the averages where a tensor is there twice"] = None
        else:
            raise RequestError(f"{path}: '{bare[short]}' and '{name}' both mean '{short}'")
    return bare, list(notes)


def _peel(name: str) -> tuple[str, list[str]]:
    """A name without leading wrappers, nor torch.compile's anywhere; and those taken off."""
    taken = []
    while wrapper := next((w for w in WRAPPERS if name.startswith(w)), None):
        name = name.removeprefix(wrapper)
        taken.append(wrapper)
    if "._orig_mod." in name:
        name = name.replace("._orig_mod.", ".")
        taken.append("_orig_mod.")
    return name, taken
