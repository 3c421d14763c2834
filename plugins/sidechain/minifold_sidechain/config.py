"""Configs of the parts; no torch here."""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field, PositiveInt

from minifold_core.components import ComponentConfig, LossFacts
from minifold_core.ports import Port

CHIS = 4
"""Side-chain torsions of a residue at most, as packers count them (χ5 of Arg is flat)."""
BASINS = 6
"""Basins of a torsion at most."""
ROTAMERS = 81
"""Rotamers of a residue at most: Lys and Arg have 3⁴."""

CHI = Port("chi", "B,L,4,2", width=2)
SIDECHAIN = Port("sidechain", "B,L,10,3", width=3)
LOGITS = Port("rotamer_logits", "B,L,r", width=ROTAMERS)
BACKBONE = Port("backbone", "B,L,4,3", width=3)
TRUE_TOKENS = Port("truth.tokens", "B,L")
TRUE_BACKBONE = Port("truth.backbone", "B,L,4,3", width=3)
TRUE_SIDECHAIN = Port("truth.sidechain", "B,L,10,3", width=3)


class GraphConfig(ComponentConfig):
    """What passes messages between neighbours in space.

    Attributes:
        d_model: width of residue features.
        d_edge: width of the features of neighbours.
        neighbours: residues that each one hears from, the nearest by Cβ.
        layers: rounds of messages.
        dropout: share of features that training leaves out.
    """

    d_model: PositiveInt = 256
    d_edge: PositiveInt = 128
    neighbours: PositiveInt = 30
    layers: PositiveInt = 4
    dropout: float = Field(0.1, ge=0, lt=1)


class BackboneGraphConfig(GraphConfig):
    """The encoder of a model that is given the backbone.

    Attributes:
        d_pair: width of the pair features; they are all the memory that grows with length squared.
        noise: standard deviation in ångström of what is added to each atom in training.
    """

    d_pair: PositiveInt = 32
    noise: float = Field(0.02, ge=0)

    def needs(self) -> tuple[Port, ...]:
        """Residue types and the native backbone."""
        return (
            Port("tokens", "B,L"),
            Port("mask", "B,L"),
            Port("residue_index", "B,L"),
            Port("given_backbone", "B,L,4,3", width=3),
            Port("given_backbone_mask", "B,L,4"),
        )

    def gives(self) -> tuple[Port, ...]:
        """Features of residues and pairs, and the backbone itself for whatever builds on it."""
        return (
            Port("single", "B,L,d", width=self.d_model),
            Port("pair", "B,L,L,p", width=self.d_pair),
            BACKBONE,
        )


class SidechainHeadConfig(GraphConfig):
    """Side chains on a backbone, given or predicted.

    Attributes:
        moves_backbone: whether gradients of side chains reach the backbone that they stand on. They
            do not by default: then a model that learns side chains learns its backbone as before.
    """

    layers: PositiveInt = 2
    moves_backbone: bool = False

    def needs(self) -> tuple[Port, ...]:
        """The backbone, residue types, and features of residues and, if there are any, pairs."""
        return (
            BACKBONE,
            Port("tokens", "B,L"),
            Port("mask", "B,L"),
            Port("residue_index", "B,L"),
            Port("single", "B,L,d"),
            Port("pair", "B,L,L,p", optional=True),
            Port("scale", "B", optional=True),
        )

    def gives(self) -> tuple[Port, ...]:
        """Torsions, how likely each rotamer is, and atoms in model units."""
        return (CHI, LOGITS, SIDECHAIN)


class ChiConfig(ComponentConfig):
    """Torsions against the native ones.

    Attributes:
        clamp: an error of more radians counts as this many, without gradient: it lies in another
            rotamer, and pulling torsions there between rotamers would leave them in none. None for
            no limit.
    """

    facts: ClassVar[LossFacts | None] = LossFacts(
        formula="mean over torsions of 1 − cos of the error, at most 1 − cos 60°; half a turn of "
        "χ2 of Asp, Phe, Tyr and χ3 of Glu is no error",
        unit="none; from 0 to 0.5, without clamp to 2",
        floor="0.225 the most frequent rotamers (71 validation chains)",
        target="0.18, which the shipped packer scores on them",
    )
    clamp: float | None = Field(default=math.pi / 3, gt=0, le=math.pi)

    def needs(self) -> tuple[Port, ...]:
        """Predicted torsions, and what the native ones are measured on."""
        return (CHI, TRUE_BACKBONE, TRUE_SIDECHAIN, TRUE_TOKENS)


class RotamerConfig(ComponentConfig):
    """How unlikely the native rotamer was thought to be."""

    facts: ClassVar[LossFacts | None] = LossFacts(
        formula="mean over residues of −ln p(the native rotamer's basin)",
        unit="nats",
        floor="1.90 the frequencies in the training set (71 validation chains)",
        target="1.60, which the shipped packer scores on them",
    )

    def needs(self) -> tuple[Port, ...]:
        """Logits of rotamers, and what the native one is measured on."""
        return (LOGITS, TRUE_BACKBONE, TRUE_SIDECHAIN, TRUE_TOKENS)


class SidechainClashConfig(ComponentConfig):
    """Overlap of atoms, at least one of them of a side chain.

    Attributes:
        tolerance: overlap of van der Waals spheres in ångström that is none: hydrogen bonds.
    """

    facts: ClassVar[LossFacts | None] = LossFacts(
        formula="sum over atom pairs four bonds apart or more of max(0, r_i + r_j − tolerance − d)²"
        ", divided by the number of residues",
        unit="Å² per residue",
        floor="0.60 the most frequent rotamers (71 validation chains)",
        target="0.00005, the median of those chains themselves",
    )
    tolerance: float = Field(0.6, ge=0)

    def needs(self) -> tuple[Port, ...]:
        """Predicted atoms, and which residues are there."""
        return (BACKBONE, SIDECHAIN, TRUE_BACKBONE, TRUE_TOKENS)


class SidechainFiguresConfig(ComponentConfig):
    """Side chains, judged in the frames of their own backbones.

    Attributes:
        tolerance: how many radians off a torsion of a recovered rotamer may be at most.
    """

    tolerance: float = Field(math.radians(40), gt=0, le=math.pi)

    def needs(self) -> tuple[Port, ...]:
        """Predicted torsions and atoms, and the native ones."""
        return (CHI, SIDECHAIN, BACKBONE, TRUE_BACKBONE, TRUE_SIDECHAIN, TRUE_TOKENS)
