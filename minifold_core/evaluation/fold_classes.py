"""Scores by class of fold: chains of helix, of strand, of both, of neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.evaluation.secondary import HELIX, STRAND, secondary_structure

HELICAL, STRANDED = 0.15, 0.10
"""Least shares of a chain's known residues (Nakashima, Nishikawa & Ooi 1986)."""
CLASSES = ("mainly α", "mainly β", "α and β", "irregular")


@dataclass(frozen=True)
class ClassRow:
    """Means over the chains of one class.

    Attributes:
        name: one of :data:`CLASSES`.
        n: how many chains it has.
        model: metric to the model's mean; NaN where no chain defines it.
        floor: metric to that of a floor.
    """

    name: str
    n: int
    model: dict[str, float]
    floor: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"class": self.name, "n": self.n, "model": self.model, "floor": self.floor}


def fold_classes(batch: ProteinBatch) -> Tensor:
    """[B] index into :data:`CLASSES`, from the secondary structure of the native trace (P-SEA)."""
    elements = secondary_structure(batch.ca, batch.ca_mask, batch.residue_index)
    known = batch.ca_mask.sum(1).clamp(min=1)
    helical = elements.eq(HELIX).sum(1) / known >= HELICAL
    stranded = elements.eq(STRAND).sum(1) / known >= STRANDED
    only = torch.where(helical, 0, 1)
    return torch.where(helical & stranded, 2, torch.where(helical | stranded, only, 3))


def by_class(
    batch: ProteinBatch, model: Mapping[str, Tensor], floor: Mapping[str, Tensor]
) -> tuple[ClassRow, ...]:
    """The rows of the classes that have chains.

    Args:
        batch: n native chains.
        model: metric to the model's [n] scores of them.
        floor: the same of a floor.
    """
    kinds = fold_classes(batch)

    def means(scores: Mapping[str, Tensor], of: Tensor) -> dict[str, float]:
        return {metric: float(values[of].nanmean()) for metric, values in scores.items()}

    present = ((name, kinds == k) for k, name in enumerate(CLASSES))
    return tuple(
        ClassRow(name, int(of.sum()), means(model, of), means(floor, of))
        for name, of in present
        if bool(of.any())
    )
