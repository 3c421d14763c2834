"""A weights file of any kind, opened: its header without torch, its tensors when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from minifold_core.errors import ProtectedError, RequestError
from minifold_core.weights import digest
from minifold_core.weights.find import find_weights
from minifold_core.weights.foreign import is_pickle, read_pickle, unwrap
from minifold_core.weights.header import Header, header_of
from minifold_core.weights.layout import TensorInfo, read_layout

if TYPE_CHECKING:
    from torch import Tensor

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "uint8": "U8",
    "bool": "BOOL",
}


@dataclass(frozen=True)
class WeightsFile:
    """What is known of a file before its tensors are read.

    Attributes:
        path: the file.
        header: what minifold wrote of it; None for a stranger's file.
        tensors: by the names that models use.
        converted: what was done to a stranger's file, in words.
        recorded: the hash that the file carries of itself, empty if it has none.
    """

    path: Path
    header: Header | None
    tensors: dict[str, TensorInfo]
    converted: tuple[str, ...] = ()
    recorded: str = ""
    _unpickled: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the file as it lies there."""
        return digest.file_sha256(self.path)

    def check_hash(self) -> bool:
        """Whether the file carries a hash, which is then right.

        Raises:
            RequestError: the hash is wrong: the file is damaged.
        """
        if self.recorded:
            digest.check(self.path, self.recorded)
        return bool(self.recorded)

    def load(self) -> dict[str, Tensor]:
        """All tensors, on the CPU (imports torch).

        Raises:
            RequestError: the file is damaged.
            ProtectedError: tensors hold numbers that are not finite; they are named.
        """
        import torch
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        self.check_hash()
        try:
            stored = self._unpickled or load_file(self.path)
            tensors = {name: stored[info.stored] for name, info in self.tensors.items()}
        except (SafetensorError, OSError, KeyError) as error:
            raise RequestError(f"weights {self.path} cannot be read: {error}") from None
        bad = [
            name
            for name, tensor in tensors.items()
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
        ]
        if bad:
            more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
            names = ", ".join(f"'{name}'" for name in bad[:3])
            raise ProtectedError(
                f"{self.path} holds numbers that are not finite, in {names}{more}; nothing was "
                "loaded. Use weights of an earlier epoch"
            )
        return tensors


def open_weights(path: str | Path) -> WeightsFile:
    """Open a run, a file or named weights: minifold's own, safetensors, or a pickle of tensors.

    Only a pickle imports torch.

    Raises:
        RequestError: there is none, or it is damaged.
        ProtectedError: it is a pickle that holds more than tensors.
    """
    file = find_weights(path)
    if is_pickle(file):
        stored, notes = read_pickle(file)
        infos = {n: TensorInfo(n, _dtype(t), tuple(t.shape)) for n, t in stored.items()}
        names, taken = unwrap(infos, file)
        tensors = {name: infos[old] for name, old in names.items()}
        return WeightsFile(file, None, tensors, (*notes, *taken), _unpickled=stored)
    layout = read_layout(file)
    header, recorded = header_of(layout, file), layout.metadata.get(digest.KEY, "")
    if header:
        return WeightsFile(file, header, layout.tensors, (), recorded)
    if not layout.tensors:
        raise RequestError(f"{file} holds no tensors")
    names, taken = unwrap(layout.tensors, file)
    tensors = {name: layout.tensors[old] for name, old in names.items()}
    notes = ["safetensors without minifold's header"]
    return WeightsFile(file, None, tensors, (*notes, *taken), recorded)


def _dtype(tensor: Tensor) -> str:
    """A tensor's type as safetensors writes it."""
    name = str(tensor.dtype).removeprefix("torch.")
    return _DTYPES.get(name, name)
