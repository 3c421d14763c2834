"""Configs of the confidence head, its loss and its metric; no torch here."""

from __future__ import annotations

from pydantic import Field

from minifold_core.components import ComponentConfig, LossFacts
from minifold_core.ports import CONFIDENCE_PORT, SAMPLED_PORT, Port

BINS = 50
"""Classes of lDDT between 0 and 1 (AlphaFold 2, suppl. 1.9.6)."""

LOGITS = Port("lddt_logits", "B,L,50", width=BINS)


class ConfidenceHeadConfig(ComponentConfig):
    """Confidence from the trunk and the distances of a finished structure.

    Attributes:
        hidden: width of the features of pairs and residues inside the head.
        distance_bins: smooth steps into which a distance is divided.
    """

    hidden: int = Field(128, ge=1)
    distance_bins: int = Field(24, ge=2)

    def needs(self) -> tuple[Port, ...]:
        """The trunk, and a finished structure."""
        return (
            Port("single", "B,L,d"),
            Port("pair", "B,L,L,p"),
            Port("mask", "B,L"),
            SAMPLED_PORT,
            Port("scale", "B"),
        )

    def gives(self) -> tuple[Port, ...]:
        """A logit for each class, and the lDDT that they expect."""
        return (LOGITS, CONFIDENCE_PORT)


class ConfidenceLossConfig(ComponentConfig):
    """Cross-entropy of the lDDT that each residue of the sampled structure has."""

    facts = LossFacts(
        formula="mean over residues of −log p[bin(lDDT of the residue)]",
        unit="nats",
        floor="3.91 the same probability for each of 50 classes, ln 50",
        target="well below that of one distribution for all residues",
    )

    def needs(self) -> tuple[Port, ...]:
        """Logits, the structure that they judge, and the truth."""
        return (LOGITS, SAMPLED_PORT, Port("truth.ca", "B,L,3", width=3))


class ConfidenceMetricConfig(ComponentConfig):
    """Predicted lDDT, judged."""

    def needs(self) -> tuple[Port, ...]:
        """The predicted lDDT, the structure that it judges, and the truth."""
        return (CONFIDENCE_PORT, SAMPLED_PORT, Port("truth.ca", "B,L,3", width=3))
