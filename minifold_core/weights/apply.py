"""Carry out a plan: everything is prepared beside the model, then written at once."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from minifold_core.errors import ProtectedError
from minifold_core.model import FoldModel
from minifold_core.weights.layout import Shape
from minifold_core.weights.plan import Plan


def apply(plan: Plan, tensors: Mapping[str, Tensor], model: FoldModel) -> None:
    """Write a file's tensors into a model as the plan says; on any error the model is unchanged.

    Args:
        plan: a plan to a recipe like the model's.
        tensors: the file's, as :meth:`minifold_core.weights.file.WeightsFile.load` gives them.
        model: built with the initial weights that fresh tensors keep.

    Raises:
        ProtectedError: the plan has faults, the model is not the plan's target, or a tensor is
            missing, of another shape or kind, or not finite in the model's precision.
    """
    plan.check()
    own = model.state_dict()
    if shapes_of(own) != dict(plan.target.tensors):
        raise ProtectedError(f"the model is not the one planned, {plan.target.label}; plan again")
    moves = {}
    for entry in plan.moves:
        assert entry.source is not None
        assert entry.target is not None
        if entry.source not in tensors:
            raise ProtectedError(
                f"{plan.source.label}: '{entry.source}' is missing; nothing was loaded"
            )
        moves[entry.target] = tensors[entry.source]
    write(stage(own, moves, plan.source.label), own)


def copy_exactly(module: torch.nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into a module whose names and shapes must all match; otherwise touch nothing.

    Raises:
        ProtectedError: a tensor is missing, left over, of another shape or kind, or not finite.
    """
    own = module.state_dict()
    if fault := misfit(shapes_of(own), shapes_of(tensors)):
        raise ProtectedError(f"{source} does not fit the model: {fault}; nothing was loaded")
    write(stage(own, tensors, source), own)


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    """The shape of each tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def misfit(own: Mapping[str, Shape], given: Mapping[str, Shape]) -> str:
    """In what given tensors differ from a model's: the first by name, how many more; or nothing."""
    faults = dict.fromkeys(own.keys() - given.keys(), "is missing")
    faults |= dict.fromkeys(given.keys() - own.keys(), "is left over")
    shared = own.keys() & given.keys()
    differ = (name for name in shared if own[name] != given[name])
    faults |= {name: f"is {list(given[name])}, not {list(own[name])}" for name in differ}
    if not faults:
        return ""
    first = min(faults)
    more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
    return f"'{first}' {faults[first]}{more}"


def stage(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """New values for a model's tensors, of their types and on their devices.

    Args:
        own: the model's tensors.
        given: name of a model's tensor to its new value.
        source: where the values come from, for messages.

    Raises:
        ProtectedError: a value has another shape or kind, or is not finite in the tensor's type.
    """
    staged = {}
    for name, value in given.items():
        into = own[name]
        if value.shape != into.shape:
            fault = f"is {list(value.shape)}, not {list(into.shape)}"
        elif value.is_floating_point() != into.is_floating_point() or value.is_complex():
            fault = f"is {value.dtype}, not {into.dtype}"
        else:
            staged[name] = value.to(into.device, into.dtype)
            if not into.is_floating_point() or bool(torch.isfinite(staged[name]).all()):
                continue
            fault = f"is not finite in {into.dtype}"
        raise ProtectedError(
            f"{source} does not fit the model: '{name}' {fault}; nothing was loaded"
        )
    return staged


@torch.no_grad()
def write(staged: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Copy staged values into a model's tensors; nothing is left that could fail."""
    for name, value in staged.items():
        own[name].copy_(value)
