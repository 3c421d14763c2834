"""Small structures made on the spot, and what it means that two chains are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minifold_core.data.records import Chain

OFFSETS = {
    "N": (-1.2, 0.0, 0.0),
    "CA": (0.0, 0.0, 0.0),
    "C": (1.27, 0.0, 0.0),
    "O": (1.27, 1.23, 0.0),
    "CB": (0.0, 0.0, 1.5),
}
"""Atoms of an extended chain along x, 3.8 Å a residue: C to the next N is 1.33 Å."""


@dataclass(frozen=True)
class Atom:
    """One line of a PDB file."""

    name: str
    residue: str
    number: int
    xyz: tuple[float, float, float]
    chain: str = "A"
    altloc: str = " "
    icode: str = " "
    occupancy: float = 1.0
    hetero: bool = False

    def line(self, serial: int) -> str:
        record = "HETATM" if self.hetero else "ATOM"
        x, y, z = self.xyz
        element = "SE" if self.name == "SE" else self.name[0]
        return (
            f"{record:6}{serial:5} {self.name:^4}{self.altloc}{self.residue:>3} {self.chain}"
            f"{self.number:4}{self.icode}   {x:8.3f}{y:8.3f}{z:8.3f}{self.occupancy:6.2f}"
            f"{0:6.2f}          {element:>2}"
        )


def make_residue(
    residue: str, number: int, place: float, atoms: Sequence[str] = tuple(OFFSETS), **more: object
) -> list[Atom]:
    """A residue of an extended chain whose Cα is at x = 3.8 × ``place``."""
    shifted = {a: tuple(np.add(OFFSETS[a], (3.8 * place, 0, 0)).tolist()) for a in atoms}
    return [Atom(a, residue, number, xyz, **more) for a, xyz in shifted.items()]  # type: ignore[arg-type]


def make_chain(count: int, chain: str = "A", residue: str = "ALA") -> list[Atom]:
    """An unbroken chain numbered from 1."""
    return [a for i in range(count) for a in make_residue(residue, i + 1, i, chain=chain)]


def pdb_text(*models: Sequence[Atom]) -> str:
    """A PDB file of one or more models."""
    blocks = []
    for k, atoms in enumerate(models, 1):
        blocks += [f"MODEL     {k:4}", *(a.line(i) for i, a in enumerate(atoms, 1)), "ENDMDL"]
    return "\n".join([*blocks, "END", ""])


def assert_same_chain(one: Chain, other: Chain) -> None:
    """Everything of two chains is equal, bit for bit."""
    for name in ("name", "sequence", "cath", "split", "provenance"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("residue_index", "backbone", "backbone_mask", "sidechain", "sidechain_mask"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert (mine is None) == (theirs is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs, err_msg=name)
            assert mine.dtype == theirs.dtype, name
