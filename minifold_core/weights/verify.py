"""Proof of a migration: what was carried over computes the same in both models, to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.interfaces import Features
from minifold_core.model import FoldModel
from minifold_core.weights.apply import copy_exactly
from minifold_core.weights.file import WeightsFile
from minifold_core.weights.plan import Plan

SEQUENCES = ("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG", "ACDEFGHIKLMNPQRSTVWY")
TIME, SNR, SCALE = 600, 0.5, 10.0


@torch.no_grad()
def verify(
    plan: Plan, file: WeightsFile, tensors: dict[str, Tensor], model: FoldModel
) -> list[str]:
    """Run each carried slot of the file's own model and of the new one on the same input.

    The input of a slot is what the file's model makes of a fixed batch with fixed noise, so a slot
    is judged by itself, whatever stands before it in the new model.

    Args:
        plan: the plan that was applied.
        file: the file.
        tensors: the file's tensors.
        model: the model into which the plan was applied, on the CPU; its mode is kept.

    Returns:
        The slots that gave equal outputs: all that were carried over.

    Raises:
        RequestError: the file has no recipe that can be built here, so there is nothing to compare.
        ProtectedError: a slot computes something else.
    """
    if file.header is None:
        raise RequestError(f"--verify: {file.path} has no recipe, so its model cannot be built")
    origin = assemble(file.header.read_recipe(str(file.path)))
    copy_exactly(origin, tensors, str(file.path))
    training = model.training
    try:
        return _compare(plan, origin.eval(), model.eval())
    finally:
        model.train(training)


def _compare(plan: Plan, origin: FoldModel, model: FoldModel) -> list[str]:
    features, proven = _input(), []
    for step in origin.wiring.steps:
        path = step.slot.path
        given = {name: features.get(name) for name in step.reads}
        found = origin.part(path)(**given)
        if path in plan.carried:
            again = model.part(path)(**given)
            for port, value in found.items():
                if port not in again or not torch.equal(value, again[port]):
                    raise ProtectedError(
                        f"--verify: {path} computes another '{port}' than in {plan.source.label}; "
                        "its settings differ (minifold migrate --dry-run names them)"
                    )
            proven.append(path)
        features |= {name: found[own] for own, name in step.gives.items()}
    return proven


def _input() -> Features:
    """Two short chains with fixed noise, under the names of the data and state ports."""
    batch = ProteinBatch.from_sequences(SEQUENCES)
    noise = torch.randn((*batch.mask.shape, 3), generator=torch.Generator().manual_seed(0))
    return {
        "tokens": batch.tokens,
        "mask": batch.mask,
        "residue_index": batch.residue_index,
        "coords_t": noise * batch.mask[..., None],
        "t": torch.full((len(batch),), TIME),
        "snr": torch.full((len(batch),), SNR),
        "scale": torch.full((len(batch),), SCALE),
    }
