"""Whether a component gave what its config declares: checked where it is, not where it is read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from minifold_core.discovery import find_components
from minifold_core.errors import MinifoldError
from minifold_core.placing import Step
from minifold_core.ports import Port


def check_given(step: Step, given: Mapping[str, Tensor], mask: Tensor) -> None:
    """Check that a slot gave every port that it declares, in its shape; values are not looked at.

    Args:
        step: the slot.
        given: what its ``forward`` returned.
        mask: [B, L] residues of the batch.

    Raises:
        MinifoldError: it did not; the component, the port and both shapes are named.
    """
    sizes = {"B": mask.shape[0], "L": mask.shape[1]}
    declared = step.slot.config.gives()
    if not isinstance(given, Mapping):
        raise _fault(step, f"returns a {type(given).__name__}, and not a dict of ports")
    for port in declared:
        if port.name not in given:
            names = ", ".join(f"'{name}'" for name in given) or "nothing"
            raise _fault(step, f"declares port '{port.name}' and gives {names}")
        value = given[port.name]
        if not isinstance(value, Tensor):
            raise _fault(step, f"gives a {type(value).__name__} as port '{port.name}'")
        if not _is_shaped(value, port, sizes):
            wide = f", {port.width} wide" if port.width is not None else ""
            raise _fault(
                step,
                f"declares port '{port}'{wide}, and gives {list(value.shape)} for a batch of "
                f"{sizes['B']} with {sizes['L']} residues",
            )


def _is_shaped(value: Tensor, port: Port, sizes: Mapping[str, int]) -> bool:
    axes = port.shape.split(",")
    wanted = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes]
    if port.width is not None:
        wanted[-1] = port.width
    return len(wanted) == value.dim() and all(
        size in (None, actual) for size, actual in zip(wanted, value.shape, strict=True)
    )


def _fault(step: Step, what: str) -> MinifoldError:
    spec = step.slot.spec
    offer = find_components().items.get(f"{spec.kind}/{spec.name}")
    whose = f" of plugin {offer.origin}" if offer else ""
    return MinifoldError(
        f"{step.slot.path} '{spec.name}'{whose} {what}; mend gives() of its config or its forward "
        f"(minifold plugins check {spec.kind}/{spec.name})"
    )
