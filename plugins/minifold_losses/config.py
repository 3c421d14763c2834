"""Configs of the losses: the ports that each compares, and its constants in ångström."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port
from minifold_core.units import CA_CA

COORDS = Port("coords", "B,L,3", width=3)
ROTATIONS = Port("rotations", "B,L,3,3", width=3)
TRUE_CA = Port("truth.ca", "B,L,3", width=3)
TRUE_ROTATIONS = Port("truth.rotations", "B,L,3,3", width=3)


class LossConfig(ComponentConfig):
    """Base of the loss configs; by default a loss compares Cα coordinates with the native ones."""

    ports: ClassVar[tuple[Port, ...]] = (COORDS, TRUE_CA)

    def needs(self) -> tuple[Port, ...]:
        """The predicted and the native ports that the loss compares."""
        return self.ports


class FAPEConfig(LossConfig):
    """Frame aligned point error.

    Attributes:
        clamp: in ångström; None for the published, unclamped form.
        frames: the ``predicted`` rotations, or ``rebuilt`` from the predicted Cα trace, as up to
            v11, where nothing else asked the rotations to be right.
    """

    clamp: float | None = Field(default=None, gt=0)
    frames: Literal["predicted", "rebuilt"] = "predicted"

    def needs(self) -> tuple[Port, ...]:
        """Positions on both sides, and rotations unless they are rebuilt."""
        rotations = (ROTATIONS,) if self.frames == "predicted" else ()
        return (COORDS, *rotations, TRUE_CA, TRUE_ROTATIONS)


class FrameRotationConfig(LossConfig):
    """Angle between predicted and native frames."""

    ports = (ROTATIONS, TRUE_ROTATIONS)


class DistanceConfig(LossConfig):
    """Squared error of all pairwise distances."""


class BondConfig(LossConfig):
    """Consecutive distances against one ``length`` in ångström, cis bonds included as published."""

    length: float = Field(default=CA_CA, gt=0)


class ChiralityConfig(LossConfig):
    """Handedness of quartets."""


class AngleConfig(LossConfig):
    """Angles of triplets."""


class RgConfig(LossConfig):
    """Radius of gyration, from a head that gives its logarithm."""

    ports = (Port("log_rg", "B"), TRUE_CA)


class OrdinalDistanceConfig(LossConfig):
    """Distances against the edges of the head that predicts them."""

    ports = (Port("distance_logits", "B,L,L,k"), Port("distance_edges", "B,k"), TRUE_CA)


class ClashConfig(LossConfig):
    """Overlap of residues that are too near, weighted by contact probability.

    Attributes:
        threshold: distance from which there is no overlap.
        unit: what ``threshold`` counts: ``angstrom``, or model units, which in v9 made it some
            36 Å and had it punish nearly every pair.
    """

    ports = (COORDS, Port("contacts", "B,L,L", optional=True), TRUE_CA)
    threshold: float = Field(default=3.0, gt=0)
    unit: Literal["angstrom", "model"] = "angstrom"
