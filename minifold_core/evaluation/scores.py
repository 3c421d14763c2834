"""What every score of a structure is called, how it is printed and what it says; no torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

MODEL = "model"
"""The name of the judged model's row."""
FLOOR = "floor: "
"""Begins the name of a floor's row."""


@dataclass(frozen=True)
class Score:
    """Facts about one score of a structure.

    Attributes:
        name: key in the results, such as ``gdt_ts``.
        label: heading of a column or an axis, without the unit.
        says: one sentence for people.
        unit: empty for a fraction between 0 and 1 or another number without unit.
        digits: how many to print after the decimal point.
        better: which values are better; None where natural chains have a typical value instead.
        of: ``trace``, of predicted beside true Cα atoms
            (:func:`~minifold_core.evaluation.metrics.compare_structures`), or ``backbone``, of N,
            Cα, C and O alone (:func:`~minifold_core.evaluation.backbone.backbone_scores`).
    """

    name: str
    label: str
    says: str
    unit: str = ""
    digits: int = 3
    better: Literal["higher", "lower"] | None = "higher"
    of: Literal["trace", "backbone"] = "trace"

    @property
    def heading(self) -> str:
        """The label with its unit, such as ``RMSD (Å)``."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


_SCORES = (
    Score(
        "tm",
        "TM-score",
        "How much of the chain lies right after the best superposition, near misses counted: above "
        "0.5 mostly the same fold, 0.17 is random.",
    ),
    Score(
        "rmsd",
        "RMSD",
        "Root mean square distance of the residues after the superposition that minimises it, "
        "never a mirror image.",
        unit="Å",
        digits=2,
        better="lower",
    ),
    Score(
        "gdt_ts",
        "GDT-TS",
        "Share of residues within 1, 2, 4 and 8 Å, each cutoff with its own best superposition.",
    ),
    Score(
        "gdt_ha",
        "GDT-HA",
        "Share of residues within 0.5, 1, 2 and 4 Å, each cutoff with its own best superposition.",
    ),
    Score(
        "lddt",
        "lDDT",
        "Share of distances up to 15 Å kept within 0.5, 1, 2 and 4 Å, without superposition; a "
        "mirror image scores 1.",
    ),
    Score(
        "precision_L_24",
        "P@L ≥24",
        "Share of true contacts among the L nearest pairs at least 24 residues apart in sequence; "
        "native chains, with fewer such contacts than residues, are near 0.5.",
    ),
    Score(
        "precision_L_33",
        "P@L >32",
        "Share of true contacts among the L nearest pairs more than 32 residues apart in sequence; "
        "native chains are near 0.4.",
    ),
    Score(
        "ss3",
        "SS3",
        "Share of residues whose secondary structure is right: helix, strand or neither (P-SEA).",
    ),
    Score("helix_recall", "helix recall", "Share of native helix residues that are predicted so."),
    Score(
        "strand_recall", "strand recall", "Share of native strand residues that are predicted so."
    ),
    Score(
        "left_handed",
        "left-handed",
        "Share of the predicted helix windows that wind to the left: natural chains are near 0.03, "
        "their mirror images near 0.97.",
        better="lower",
    ),
    Score(
        "rama_rare",
        "φ, ψ rare",
        "Share of residues outside the region of φ and ψ that holds 98 % of natural residues.",
        better="lower",
        of="backbone",
    ),
    Score(
        "rama_outliers",
        "φ, ψ outliers",
        "Share of residues outside the region of φ and ψ that holds 99.95 % of natural residues.",
        digits=4,
        better="lower",
        of="backbone",
    ),
    Score(
        "bond_z",
        "bond z",
        "Root mean square deviation of bond lengths from Engh and Huber's values, in their "
        "standard deviations; most natural chains are below 1.",
        digits=2,
        better="lower",
        of="backbone",
    ),
    Score(
        "angle_z",
        "angle z",
        "Root mean square deviation of bond angles from Engh and Huber's values, in their standard "
        "deviations; most natural chains are below 1.",
        digits=2,
        better="lower",
        of="backbone",
    ),
    Score(
        "omega_z",
        "ω z",
        "Root mean square deviation of peptide bonds from trans (before proline also cis), in "
        "standard deviations of 6.2°.",
        digits=2,
        better="lower",
        of="backbone",
    ),
    Score(
        "clashes",
        "clashes",
        "Pairs of atoms of two residues that overlap by more than 1.5 Å, per 100 residues.",
        digits=2,
        better="lower",
        of="backbone",
    ),
    Score(
        "hbonds",
        "hydrogen bonds",
        "Share of residues whose backbone N-H is bonded to some C=O; natural chains are near 0.6.",
        better=None,
        of="backbone",
    ),
)

SCORES: Mapping[str, Score] = MappingProxyType({score.name: score for score in _SCORES})
"""Every score by its name, in the order in which they are shown."""
