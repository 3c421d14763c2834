"""What a step says of a model's health: update sizes, and where numbers stop being finite."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


def norm(tensors: Sequence[Tensor]) -> float:
    """The Euclidean norm of all numbers together."""
    return float(nn.utils.get_total_norm(list(tensors)))


class UpdateRatios:
    """Size of a step against the size of the weights, by slot; about 1e-3 is healthy for Adam."""

    def __init__(self, parameters: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self.parameters = parameters
        self.before = {slot: [p.detach().clone() for p in own] for slot, own in parameters.items()}

    def measure(self) -> dict[str, float]:
        """Slot path to the norm of its change since this was made, over the norm of its weights."""
        ratios = {}
        for slot, own in self.parameters.items():
            before = self.before[slot]
            change = torch._foreach_sub([p.detach() for p in own], before)
            ratios[slot] = norm(change) / max(norm(before), 1e-12)
        return ratios


def first_non_finite(model: nn.Module, run: Callable[[], object]) -> str | None:
    """The first module, in the order of computation, whose output is not finite while ``run`` runs.

    Inner modules finish first, so it is the innermost one that is named.
    """
    guilty: list[str] = []

    def watch(name: str) -> Callable[[nn.Module, object, object], None]:
        def look(module: nn.Module, given: object, output: object) -> None:
            if not guilty and not _finite(output):
                guilty.append(name)

        return look

    handles = [
        module.register_forward_hook(watch(name)) for name, module in model.named_modules() if name
    ]
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return guilty[0] if guilty else None


def _finite(output: object) -> bool:
    if isinstance(output, Tensor):
        return not output.is_floating_point() or bool(output.isfinite().all())
    if isinstance(output, Mapping):
        return all(map(_finite, output.values()))
    if isinstance(output, Sequence) and not isinstance(output, str):
        return all(map(_finite, output))
    return True


def memory_in_use(device: torch.device) -> float:
    """GiB that this process holds: on the GPU at its peak, else resident (0 where not known)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**30
