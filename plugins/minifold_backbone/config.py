"""Settings of the backbone head and of its losses; no torch here."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from minifold_core.components import ComponentConfig, LossFacts
from minifold_core.ports import Port
from minifold_losses.config import SQUARED, UNITS, LossConfig

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

    facts = LossFacts(
        formula="FAPE of the atoms N, Cα, C and O in the frames that N, Cα and C make",
        unit=UNITS,
        floor="1.76 all atoms at one point (demo set)",
        target="0",
    )


class BackboneBondConfig(BackboneLossConfig):
    """Lengths of the four kinds of backbone bonds."""

    facts = LossFacts(
        formula="mean over N-Cα, Cα-C, C-N and C=O bonds of (length − ideal length)²",
        unit=SQUARED,
        floor="0.019 all atoms at one point (demo set)",
        target="0.0001, which is 0.1 Å; natural bonds vary by 0.01 to 0.02 Å",
    )


class BackboneAngleConfig(BackboneLossConfig):
    """Angles at Cα, at C and at the next N."""

    facts = LossFacts(
        formula="mean over N-Cα-C, Cα-C-N and C-N-Cα angles of (cos θ − cos of the ideal angle)²",
        unit="none; from 0 to 4",
        floor="0.20 all atoms at one point, where cos θ = 0 (demo set)",
        target="0.0014, which the native chains of the demo set score",
    )


class OmegaConfig(BackboneLossConfig):
    """Torsion about the peptide bond.

    Attributes:
        target: ``planar`` pulls every bond to 180°, as v14 did; ``native`` to its native angle,
            which leaves alone the 5 % of bonds before proline that are cis.
    """

    facts = LossFacts(
        formula="mean over peptide bonds of 1 − cos(ω − ω*)",
        unit="none; from 0 to 2",
        floor="1 for uniformly random torsions",
        target="0 against native angles; against 180° native chains score 0.005 (demo set), and "
        "each cis bond 2",
    )
    target: Literal["planar", "native"] = "planar"


class PhiPsiConfig(BackboneLossConfig):
    """Torsions on either side of Cα."""

    facts = LossFacts(
        formula="mean over φ and ψ of 1 − cos of their error",
        unit="none; from 0 to 2",
        floor="1 for uniformly random torsions",
        target="0",
    )
