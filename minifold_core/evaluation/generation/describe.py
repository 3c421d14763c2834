"""What is known of every structure of a set before sets are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from minifold_core.console import Advance
from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    RAMACHANDRAN_SPANS,
    histogram,
    pseudo_angles,
    ramachandran_angles,
)
from minifold_core.evaluation.generation.shape import shape
from minifold_core.evaluation.generation.traces import Trace

Floats = NDArray[np.float64]

CONTENT_BINS = 5
"""Bins of the shares of helix and of strand, each 0.2 wide."""


@dataclass(frozen=True, eq=False)
class Described:
    """N structures.

    Attributes:
        traces: the structures.
        values: what :func:`~minifold_core.evaluation.generation.shape.shape` says, [N] by name.
        pseudo: [N, 18, 36] counts of pseudo-bond angle and pseudo-dihedral.
        ramachandran: [N, 36, 36] counts of φ and ψ, zero for a structure without backbone.
        content: [N, 5, 5] one at the structure's shares of helix and strand.
    """

    traces: tuple[Trace, ...]
    values: dict[str, Floats]
    pseudo: Floats
    ramachandran: Floats
    content: Floats

    @classmethod
    def of(cls, traces: Sequence[Trace], advance: Advance) -> Described:
        """Measure structures, telling of each that is done."""
        shapes, pseudo, ramachandran = [], [], []
        for trace in traces:
            shapes.append(shape(trace.ca))
            places = torch.arange(len(trace))
            bends = pseudo_angles(trace.ca, trace.mask[:, 1], places)
            pseudo.append(histogram(bends, PSEUDO_SPANS))
            turns = ramachandran_angles(trace.backbone, trace.mask, places)
            ramachandran.append(histogram(turns, RAMACHANDRAN_SPANS))
            advance(1)
        values = {name: np.array([each[name] for each in shapes]) for name in shapes[0]}
        content = [_content(each["helix"], each["strand"]) for each in shapes]
        return cls(
            tuple(traces), values, np.stack(pseudo), np.stack(ramachandran), np.stack(content)
        )

    def __len__(self) -> int:
        return len(self.traces)

    @property
    def lengths(self) -> list[int]:
        """Residues of each structure."""
        return [len(trace) for trace in self.traces]

    @property
    def backbones(self) -> int:
        """How many have backbone atoms beside Cα."""
        return int(self.ramachandran.any((1, 2)).sum())


def _content(helix: float, strand: float) -> Floats:
    counts = np.zeros((CONTENT_BINS, CONTENT_BINS))
    row, column = (min(int(share * CONTENT_BINS), CONTENT_BINS - 1) for share in (helix, strand))
    counts[row, column] = 1
    return counts
