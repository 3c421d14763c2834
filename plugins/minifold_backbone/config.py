"""Settings of the backbone head and of its losses; no torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port
from minifold_losses.config import LossConfig

BACKBONE = Port("backbone", "B,L,4,3", width=3)


class BackboneHeadConfig(ComponentConfig):
    """Full backbones from a Cα trace with frames.

    Attributes:
        hidden: width of both hidden layers of the two perceptrons.
    """

    hidden: int = Field(256, ge=1)

    def needs(self) -> tuple[Port, ...]:
        """Predicted positions and Cα frames, residue features, and which residues are bonded."""
        return (
            Port("coords", "B,L,3", width=3),
            Port("rotations", "B,L,3,3", width=3),
            Port("single", "B,L,d"),
            Port("mask", "B,L"),
            Port("residue_index", "B,L"),
            Port("scale", "B"),
        )

    def gives(self) -> tuple[Port, ...]:
        """N, Cα, C, O in model units."""
        return (BACKBONE,)


class BackboneLossConfig(LossConfig):
    """Base of the losses on backbone atoms."""

    ports = (BACKBONE, Port("truth.backbone", "B,L,4,3", width=3))


class BackboneFAPEConfig(BackboneLossConfig):
    """Frame aligned point error of four atoms per residue, unclamped."""


class BackboneBondConfig(BackboneLossConfig):
    """Lengths of the four kinds of backbone bonds."""


class BackboneAngleConfig(BackboneLossConfig):
    """Angles at Cα, at C and at the next N."""


class OmegaConfig(BackboneLossConfig):
    """Torsion about the peptide bond.

    Attributes:
        target: ``planar`` pulls every bond to 180°, as v14 did; ``native`` to its native angle,
            which leaves alone the 5 % of bonds before proline that are cis.
    """

    target: Literal["planar", "native"] = "planar"


class PhiPsiConfig(BackboneLossConfig):
    """Torsions on either side of Cα."""
