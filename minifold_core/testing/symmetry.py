"""Symmetry: what lies in space moves with the input, and all else stays."""

from __future__ import annotations

import torch

from minifold_core.geometry.sidechains import sidechain_atoms
from minifold_core.interfaces import Denoiser
from minifold_core.ports import Port
from minifold_core.testing.compare import difference
from minifold_core.testing.inputs import Motion, Values, axes, draw_truth, is_point, is_rotation
from minifold_core.testing.measure import measured
from minifold_core.testing.subject import Subject, expect

CLOSE = 1e-6
LOW_NOISE = 4.0
"""Signal-to-noise ratio: a denoiser may start from a fixed pose where noise hides the state."""


def lies_in_space(subject: Subject) -> bool:
    """Whether it reads or gives points or rotations."""
    ports = (*subject.config.needs(), *subject.config.gives())
    return any(is_point(port) or is_rotation(port) for port in ports)


def network_symmetry(subject: Subject) -> str | None:
    """Turning and shifting the input turns and shifts the output."""
    if not lies_in_space(subject):
        return "nothing lies in space"
    component, motion = subject.build().eval(), Motion()
    if isinstance(component, Denoiser) and not component.equivariant:
        return "not claimed"
    values = subject.values()
    if "snr" in values:
        values["snr"] = torch.full_like(values["snr"], LOW_NOISE)
    given = subject.config.gives()
    with torch.no_grad():
        before = subject.run(component, values)
        after = subject.run(component, motion(subject.reads, values))
    expected = motion(given, before)
    for port in given:
        a, b = (_there(port, x[port.name], values) for x in (after, expected))
        off = difference(a, b)
        does = "move with" if is_point(port) or is_rotation(port) else "stay as it is under"
        expect(
            off < CLOSE,
            f"'{port.name}' does not {does} a turn and shift of its input (off by {off:.2g}); a "
            "denoiser without that symmetry says equivariant = False",
        )
    return None


def _there(port: Port, value: torch.Tensor, values: Values) -> torch.Tensor:
    """The values of known residues or pairs, and of side chains the atoms that there are."""
    mask = values.get("mask")
    if mask is None or "L" not in axes(port):
        return value
    if "given_backbone" in values:  # who is given no place of a residue can answer at none
        mask = mask & values["given_backbone"].any(-1).all(-1)
    if port.name == "sidechain" and "tokens" in values:
        return value[mask[..., None] & sidechain_atoms(values["tokens"])]
    return value[mask[:, :, None] & mask[:, None] if axes(port).count("L") == 2 else mask]


def measure_symmetry(subject: Subject) -> None:
    """A common motion of prediction and truth changes no loss and no figure."""
    measure, motion, truth = subject.build(), Motion(), draw_truth()
    values = subject.values()
    before = measured(subject, measure, values, truth)
    after = measured(subject, measure, motion(subject.reads, values), motion.of(truth))
    for name, value in before.items():
        off = difference(after[name], value)
        expect(off < CLOSE, f"{name} changes when prediction and truth move together ({off:.2g})")
