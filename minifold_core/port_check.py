"""Whether a component gave what it owes: checked where it is given, not where it is read."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from minifold_core.components import ComponentSpec
from minifold_core.discovery import origin_of
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


def check_measured(spec: ComponentSpec, value: object, proteins: int) -> None:
    """Check that a loss, or a figure of a metric, is one number per protein.

    Raises:
        MinifoldError: it is not; the component and what it returned are named.
    """
    if isinstance(value, Tensor) and value.shape == (proteins,):
        return
    seen = list(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"
    raise MinifoldError(
        f"{spec.kind} '{spec.name}'{_whose(spec)} returns {seen} for {proteins} proteins; one "
        f"value per protein, [B], is needed (minifold plugins check {spec.kind}/{spec.name})"
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
    return MinifoldError(
        f"{step.slot.path} '{spec.name}'{_whose(spec)} {what}; mend gives() of its config or its "
        f"forward (minifold plugins check {spec.kind}/{spec.name})"
    )


def _whose(spec: ComponentSpec) -> str:
    origin = origin_of(spec)
    return f" of plugin {origin}" if origin else ""
