"""Made-up values for ports, from their names and symbolic shapes.

The axes ``B`` and ``L`` are proteins and residues, a number is itself, any other letter a width. A
last axis of 3 is a point in model units, ``3,3`` a rotation, ``B,L,L`` a probability of pairs, and
a name that ends in ``edges`` ascending distances in ångström; all else is a feature of unit scale.
Padding and missing residues hold junk; a given backbone, which is in ångström, is 0 there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch, Truth
from minifold_core.cath import NAMES, UNKNOWN
from minifold_core.geometry.sidechains import sidechain_atoms
from minifold_core.ports import Port
from minifold_core.residues import (
    FIRST_AMINO_ACID,
    MAX_SIDECHAIN_ATOMS,
    PAD,
    VOCABULARY_SIZE,
)
from minifold_core.units import MODEL_UNIT

LENGTHS = (7, 11, 4)
"""Chains of a test batch."""
STEP, SPREAD = 0.25, 0.15
"""Random walks of about the size of a chain in model units, and how atoms scatter about them."""

Values = dict[str, Any]
"""Port name to tensor; None where nobody gives an optional port."""


def axes(port: Port) -> list[str]:
    """The symbols of a port's axes."""
    return port.shape.split(",")


def is_rotation(port: Port) -> bool:
    """Whether a port holds rotations."""
    return axes(port)[-2:] == ["3", "3"]


def is_point(port: Port) -> bool:
    """Whether a port holds points in space."""
    return axes(port)[-1] == "3" and not is_rotation(port)


def shape(port: Port, width: int, b: int, length: int) -> tuple[int, ...]:
    """The sizes of a port's axes, for ``b`` proteins of ``length`` residues."""
    known = {"B": b, "L": length}
    return tuple(int(a) if a.isdigit() else known.get(a, width) for a in axes(port))


def chains(lengths: Sequence[int], gap: bool) -> Values:
    """The data, the noise level and the scale of chains; a number is skipped after the third
    residue, and with ``gap`` the longest chain misses the coordinates of its fourth.
    """
    b, length = len(lengths), max(lengths)
    inside = torch.arange(length) < torch.tensor(lengths)[:, None]
    mask = inside.clone()
    if gap and length > 6:  # whole runs of three, that have frames, remain on both sides
        mask[lengths.index(length), 3] = False
    random = torch.Generator().manual_seed(0)
    tokens = torch.randint(FIRST_AMINO_ACID, VOCABULARY_SIZE, mask.shape, generator=random)
    place = torch.arange(length)
    return {
        "tokens": tokens.masked_fill(~inside, PAD),
        "mask": mask,
        "residue_index": (place + (place >= 3)).expand(b, length).contiguous(),
        "t": (torch.arange(b) * 370 + 50) % 1000,
        **given_backbone(inside),
        "snr": 4.0 ** (1 - torch.arange(b, dtype=torch.float64)),
        "scale": 8.0 + torch.arange(b, dtype=torch.float64),
    }


def given_backbone(inside: Tensor) -> Values:
    """A native backbone that lacks an oxygen of the first chain, and all atoms of its third
    residue, for chains that are ``inside`` [B, L].
    """
    atoms = inside[..., None].repeat(1, 1, 4)
    atoms[0, 1:2, 3] = False
    atoms[0, 2:3] = False
    walk = _value(Port("given_backbone", "B,L,4,3"), (*atoms.shape, 3)) * MODEL_UNIT
    return {"given_backbone": walk * atoms[..., None], "given_backbone_mask": atoms}


def draw(
    ports: Sequence[Port],
    widths: Mapping[str, int],
    lengths: Sequence[int] = LENGTHS,
    gap: bool = False,
    dtype: torch.dtype = torch.float64,
) -> Values:
    """Values of ``ports``; each is the same whatever else is drawn."""
    known, b, length = chains(lengths, gap), len(lengths), max(lengths)
    drawn = {}
    for port in ports:
        value = known.get(port.name)
        if value is None:
            value = _value(port, shape(port, widths.get(port.name, 1), b, length))
        drawn[port.name] = value.to(dtype) if value.is_floating_point() else value
    return drawn


def _value(port: Port, sizes: tuple[int, ...]) -> Tensor:
    generator = torch.Generator().manual_seed(crc32(port.name.encode()))
    random = partial(torch.randn, generator=generator, dtype=torch.float64)
    if is_rotation(port):
        return rotations(random(sizes))
    if is_point(port):
        walk = random(*sizes[:2], *[1] * (len(sizes) - 3), 3) if len(sizes) > 2 else random(sizes)
        return walk.cumsum(1) * STEP + SPREAD * random(sizes) if len(sizes) > 2 else walk
    if axes(port) == ["B", "L", "L"]:
        chance = random(sizes).sigmoid()
        return (chance + chance.transpose(1, 2)) / 2
    if port.name.endswith("edges"):
        return (20 * random(sizes).sigmoid()).sort(-1).values
    return random(sizes)


def rotations(x: Tensor) -> Tensor:
    """Proper rotations [..., 3, 3] from matrices [..., 3, 3]."""
    q = torch.linalg.qr(x).Q
    return q * torch.det(q)[..., None, None]


def extreme(ports: Sequence[Port], values: Values, factor: float) -> Values:
    """Points and features times ``factor``: 0 makes all points coincide and turns nothing."""
    scaled = {}
    for port in ports:
        value = values[port.name]
        if is_rotation(port) and factor == 0:
            value = torch.eye(3).to(value).expand_as(value).contiguous()
        elif axes(port) == ["B", "L", "L"] and value.is_floating_point():
            value = (value * factor).clamp(max=1)
        elif is_point(port) or _is_feature(port, value):
            value = value * factor
        scaled[port.name] = value
    return values | scaled


def _is_feature(port: Port, value: Tensor) -> bool:
    meant = port.name in ("snr", "scale") or port.name.endswith("edges") or is_rotation(port)
    return value.is_floating_point() and not meant


def rows(values: Values, order: Sequence[int]) -> Values:
    """Some of the proteins, in that order."""
    return {name: None if x is None else x[list(order)] for name, x in values.items()}


def crop(ports: Sequence[Port], values: Values, length: int) -> Values:
    """The first ``length`` residues along every residue axis."""
    short = dict(values)
    for port in ports:
        for axis, symbol in enumerate(axes(port)):
            if symbol == "L" and values[port.name] is not None:
                short[port.name] = short[port.name].narrow(axis, 0, length)
    return short


class Motion:
    """A turn and a shift of everything in space, in float64."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(5)
        self.turn = rotations(torch.randn(3, 3, generator=generator, dtype=torch.float64))
        self.shift = torch.tensor([3.0, -7.0, 1.0], dtype=torch.float64)

    def __call__(self, ports: Sequence[Port], values: Values) -> Values:
        """``values`` with points moved and rotations turned."""
        moved = dict(values)
        for port in ports:
            if port.name == "given_backbone":  # in ångström, and 0 where unknown
                known = values[port.name].any(-1, keepdim=True)
                there = values[port.name] @ self.turn.T + self.shift * MODEL_UNIT
                moved[port.name] = there * known
            elif is_point(port):
                moved[port.name] = values[port.name] @ self.turn.T + self.shift
            elif is_rotation(port):
                moved[port.name] = self.turn @ values[port.name]
        return moved

    def of(self, truth: Truth) -> Truth:
        """A native structure moved; what is unknown stays 0."""

        def moved(atoms: Tensor, known: Tensor) -> Tensor:
            return (atoms @ self.turn.T + self.shift) * known[..., None]

        return replace(
            truth,
            backbone=moved(truth.backbone, truth.backbone_mask),
            sidechain=moved(truth.sidechain, truth.sidechain_mask),
        )


def draw_truth(
    lengths: Sequence[int] = LENGTHS, dtype: torch.dtype = torch.float64, spread: float = 1.0
) -> Truth:
    """Native structures with a missing residue and missing atoms; with ``spread`` 0, points."""
    known, b, length = chains(lengths, gap=True), len(lengths), max(lengths)
    walk = _value(Port("native", "B,L,4,3"), (b, length, 4, 3)) * MODEL_UNIT * spread
    there = known["mask"][..., None].repeat(1, 1, 4)
    there[0, 3:4, 0] = False
    away = _value(Port("native_sidechain", "B,L,10,d"), (b, length, MAX_SIDECHAIN_ATOMS, 3))
    side = walk[:, :, 1:2] + SPREAD * MODEL_UNIT * spread * away
    atoms = sidechain_atoms(known["tokens"]) & known["mask"][..., None]
    atoms[0, 1:2, 1:] = False
    labels = [torch.arange(b) % len(names) for names in NAMES.values()]
    cath = torch.stack(labels, 1).masked_fill(~known["mask"].any(1, keepdim=True), UNKNOWN)
    batch = ProteinBatch(
        known["tokens"],
        known["residue_index"],
        (walk * there[..., None]).to(dtype),
        there,
        tuple(f"chain{i + 1}" for i in range(b)),
        cath,
        (side * atoms[..., None]).to(dtype),
        atoms,
    )
    return Truth.of(batch)


def truth_rows(truth: Truth, order: Sequence[int], length: int | None = None) -> Truth:
    """Some of the native structures, in that order, and of those the first residues."""
    whole = truth.mask.shape[1]

    def chosen(x: Tensor) -> Tensor:
        return x[list(order)] if x.dim() < 2 or x.shape[1] != whole else x[list(order), :length]

    return _each(truth, chosen)


def truth_on(truth: Truth, device: str) -> Truth:
    """Native structures on a device."""
    return _each(truth, lambda x: x.to(device))


def _each(truth: Truth, change: Callable[[Tensor], Tensor]) -> Truth:
    tensors = {field.name: getattr(truth, field.name) for field in fields(truth)}
    return replace(truth, **{name: change(x) for name, x in tensors.items() if x is not None})
