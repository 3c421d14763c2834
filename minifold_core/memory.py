"""Memory: what sampling a structure takes at least, and what there is."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minifold_core.assembly import embedding_width
from minifold_core.batch import ProteinBatch
from minifold_core.model import FoldModel

CGROUP = "sys/fs/cgroup"
CGROUP_V1 = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
CGROUP_V2 = "memory.max", "memory.current", "inactive_file"
"""Files with a group's limit and what it uses, and the entry of ``memory.stat`` that counts what of
it is cache to be given up."""


def least_memory(model: FoldModel, length: int, branches: int = 1) -> int | None:
    """Bytes of the tensors that are alive at once, at most, when a structure is sampled.

    Trunk and denoiser run on tensors without numbers, so nothing of that size is made and it takes
    a second whatever the length. It is what torch itself allocates; beside it there are the
    weights, what is lost between the blocks, and what else the process holds: a trunk of v13 with
    100 to 400 residues made a process grow by 0.9 to 1.8 times as much.

    Args:
        model: on the device where it is to sample.
        length: residues.
        branches: conditions that the denoiser answers at once: 2 with guidance.

    Returns:
        None for a model that cannot be run without numbers.
    """
    device = next(model.parameters()).device
    live = _LiveBytes()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), live:
            batch = ProteinBatch.from_sequences(["X" * length])
            if (width := embedding_width(model.recipe)) is not None:
                batch = replace(batch, embeddings=torch.zeros(1, length, width))
            trunk = model.trunk(batch.to(device))
            trunk = {name: each.repeat_interleave(branches, 0) for name, each in trunk.items()}
            x_t = torch.zeros(branches, length, 3, device=device)
            level = torch.ones(branches, dtype=torch.long, device=device)
            model.denoise(trunk, x_t, level, level.float(), trunk["mask"], x_t)
    except Exception:  # an estimate must not stop a sampling that would work
        return None
    return live.peak


def available_memory(device: torch.device) -> int | None:
    """Bytes that can be taken on ``device``; None if it does not tell."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return host_memory() if device.type == "cpu" else None


def host_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can take: of the machine, and of every control group it is in.

    Where the system does not say what is free (macOS), all that the machine has.
    """
    rooms = [*_machine_room(root), *_group_rooms(root)]
    if not rooms and "SC_PHYS_PAGES" in os.sysconf_names:
        rooms = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    return min(rooms, default=None)


class _LiveBytes(TorchDispatchMode):
    """Counts the bytes of the tensors that operations give, as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        keywords: dict[str, Any] | None = None,
    ) -> Any:
        """Call an operation and count what is new in its result."""
        result = function(*arguments, **(keywords or {}))
        for each in tree_leaves(result):
            if isinstance(each, Tensor) and each.untyped_storage() not in self._known:
                storage = each.untyped_storage()
                self._known.add(storage)
                self._add(storage.nbytes())
                weakref.finalize(storage, self._add, -storage.nbytes())
        return result

    def _add(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)


def _machine_room(root: Path) -> Iterator[int]:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield int(line.split()[1]) * 2**10
    except (OSError, ValueError):
        return


def _group_rooms(root: Path) -> Iterator[int]:
    """What is left in the memory group of this process and in those around it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, name = line.split(":", 2)
        if kinds not in ("", "memory"):
            continue
        limit, usage, cache = CGROUP_V1 if kinds else CGROUP_V2
        top = root / CGROUP / kinds
        group = top / name.lstrip("/")
        while group != top.parent:
            try:
                stat = dict(
                    each.split() for each in (group / "memory.stat").read_text().splitlines()
                )
                used = int((group / usage).read_text()) - int(stat[cache])
                yield int((group / limit).read_text()) - used
            except (OSError, ValueError, KeyError):
                pass  # a group without a limit, or one that a container does not show
            group = group.parent
