"""The layout of a safetensors file, read and checked without torch."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minifold_core.errors import RequestError

MAX_HEADER = 100_000_000
"""Bytes; the limit of the safetensors format itself."""
LENGTH = 8
"""Bytes of the header's length, which come first."""
ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorInfo:
    """A stored tensor.

    Attributes:
        stored: its name in the file.
        dtype: as safetensors writes it: ``F32``, ``BF16``, ...
        shape: its shape.
    """

    stored: str
    dtype: str
    shape: Shape


@dataclass(frozen=True)
class Layout:
    """A safetensors file's metadata, and its tensors by name."""

    metadata: dict[str, str]
    tensors: dict[str, TensorInfo]


def read_layout(path: Path, what: str = "weights") -> Layout:
    """Read what a safetensors file says that it holds, and check that it can be so.

    Args:
        path: the file.
        what: what errors call the kind of file.

    Raises:
        RequestError: it cannot be read, is no safetensors file, or its header does not describe it:
            names said twice, unknown types, offsets that do not tile the data, a cut end.
    """
    try:
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            if total < LENGTH:
                raise ValueError("it is empty" if not total else "it is cut short")
            size = int.from_bytes(file.read(LENGTH), "little")
            if size > MAX_HEADER:
                raise ValueError("its header length is impossible")
            if LENGTH + size > total:
                raise ValueError("it is cut short")
            text = file.read(size).decode("utf-8")
        header = json.loads(text, object_pairs_hook=_no_duplicates)
        if not isinstance(header, dict):
            raise ValueError("its header is no table")
        return _layout(header, total - LENGTH - size)
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path} is not a {what} file ({_short(error)})") from None


def _layout(header: dict[str, Any], size: int) -> Layout:
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata is no table of texts")
    tensors, spans = {}, []
    for name, entry in header.items():
        tensors[name], begin, end = _tensor(name, entry)
        spans.append((begin, end, name))
    reached = 0
    for begin, end, name in sorted(spans):
        if begin != reached:
            raise ValueError(f"'{name}' begins at byte {begin} of the data, not at {reached}")
        reached = end
    if reached < size:
        raise ValueError(f"{size - reached} bytes at its end belong to no tensor")
    if reached > size:
        raise ValueError(f"it is cut short: {reached - size} bytes of data are missing")
    return Layout(metadata, tensors)


def _tensor(name: str, entry: Any) -> tuple[TensorInfo, int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"'{name}' is not described as a tensor")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ValueError(f"'{name}' is of unknown type {dtype!r}")
    if not (_counts(shape) and _counts(offsets) and len(offsets) == 2):
        raise ValueError(f"'{name}' has a damaged shape or place")
    begin, end = offsets
    if end - begin != math.prod(shape) * ITEM_BYTES[dtype]:
        raise ValueError(f"'{name}' takes {end - begin} bytes, which its shape {shape} does not")
    return TensorInfo(name, dtype, tuple(shape)), begin, end


def _counts(value: Any) -> bool:
    """Whether a value is a list of whole numbers from 0 on."""
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(n for n in names if names.count(n) > 1)}' is there twice")
    return table


def _short(error: Exception) -> str:
    """The first line of an error's text, cut to a readable length."""
    line = str(error).partition("\n")[0]
    return line if len(line) <= 200 else f"{line[:197]}..."
