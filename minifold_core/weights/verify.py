"""Proof of a migration: what was carried over computes the same in both models, to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.interfaces import Features
from minifold_core.model import FoldModel
from minifold_core.placing import Step
from minifold_core.ports import DATA_PORTS, GIVEN_PORTS, READ_OUT_PORTS, STATE_PORTS
from minifold_core.recipe import Recipe
from minifold_core.testing.inputs import Values, draw
from minifold_core.weights.apply import copy_exactly
from minifold_core.weights.file import WeightsFile
from minifold_core.weights.plan import Plan

SEQUENCES = ("MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG", "ACDEFGHIKLMNPQRSTVWY")
HIDDEN = 7
"""One residue in so many is hidden; all twenty amino acids are still seen."""
TIME, SNR, SCALE = 600, 0.5, 10.0
PREVIOUS = "coords_prev"


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
    features: Features = {}
    proven = []
    for step in origin.wiring.steps:
        path = step.slot.path
        ways = _ways(step, origin.recipe, features)
        found = [origin.part(path)(**given) for given in ways]
        if path in plan.carried:
            for before, given in zip(found, ways, strict=True):
                _check_equal(path, before, model.part(path)(**given), plan.source.label)
            proven.append(path)
        features |= {name: found[0][own] for own, name in step.gives.items()}
    return proven


def _check_equal(path: str, found: Features, again: Features, label: str) -> None:
    for port, value in found.items():
        if port not in again or not torch.equal(value, again[port]):
            raise ProtectedError(
                f"--verify: {path} computes another '{port}' than in {label}; "
                "its settings differ (minifold migrate --dry-run names them)"
            )


def _ways(step: Step, recipe: Recipe, features: Features) -> list[Values]:
    """What a slot is given, and again with a previous prediction if it reads one.

    Both are needed: without one its weights do nothing, and with one IPA ignores frames of x_t.
    """
    given = _outside(step, recipe, features) | features
    read = {name: given.get(name) for name in step.reads}
    return [read | {PREVIOUS: None}, read] if PREVIOUS in read else [read]


def _outside(step: Step, recipe: Recipe, features: Features) -> Values:
    """Fixed noise for all that a slot needs and no slot before it gave, in the shape it declares.

    What it can do without, it gets where :func:`~minifold_core.placing.place` offers that.
    """
    offered = [*DATA_PORTS, *(() if "denoiser" in recipe.slots else GIVEN_PORTS)]
    if step.slot.path == "denoiser":
        offered += STATE_PORTS
    elif step.per_state:
        offered += READ_OUT_PORTS
    names = {port.name for port in offered}
    needs = [
        need
        for need in step.slot.config.needs()
        if need.name not in features and (not need.optional or need.name in names)
    ]
    widths = {need.name: need.width for need in needs if need.width is not None}
    drawn = draw(needs, widths, [len(s) for s in SEQUENCES], dtype=torch.float32)
    chains = _chains()
    return {name: chains.get(name, value) for name, value in drawn.items()}


def _chains() -> Features:
    """Two short chains, some of whose residues are hidden, at one noise level and scale."""
    batch = ProteinBatch.from_sequences(SEQUENCES)
    batch = batch.without_residues(batch.residue_index % HIDDEN == HIDDEN // 2)
    return {
        "tokens": batch.tokens,
        "mask": batch.mask,
        "residue_index": batch.residue_index,
        "t": torch.full((len(batch),), TIME),
        "snr": torch.full((len(batch),), SNR),
        "scale": torch.full((len(batch),), SCALE),
    }
