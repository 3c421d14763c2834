"""Settings of the prediction heads."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port
from minifold_core.residues import AMINO_ACIDS


class RgHeadConfig(ComponentConfig):
    """Radius of gyration from residue features.

    Attributes:
        hidden: hidden width of the two-layer perceptron.
    """

    hidden: int = Field(128, ge=1)

    def needs(self) -> tuple[Port, ...]:
        """Residue features and which residues count."""
        return (Port("single", "B,L,d"), Port("mask", "B,L"))

    def gives(self) -> tuple[Port, ...]:
        """The natural logarithm of the radius of gyration in ångström."""
        return (Port("log_rg", "B"),)


class DistanceBinsConfig(ComponentConfig):
    """Bins of one width that divide a range of Cα distances.

    Attributes:
        bins: number of distance bins.
        low: lower end of the first bin in ångström.
        high: upper end of the last bin in ångström.
    """

    bins: int = Field(32, ge=2)
    low: float = Field(2.0, ge=0)
    high: float = Field(40.0, gt=0)

    @model_validator(mode="after")
    def _range_is_open(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self

    def edges(self) -> list[float]:
        """The bins - 1 distances in ångström between one bin and the next, ascending."""
        step = (self.high - self.low) / self.bins
        return [self.low + k * step for k in range(1, self.bins)]


class OrdinalDistanceHeadConfig(DistanceBinsConfig):
    """Cα distances as a ladder of thresholds, one logit for each edge between two bins.

    Attributes:
        reads: the pair features to read. v11 to v14 read a stack of the head's own, because a
            head on detached main features diverges as they drift.
    """

    reads: Literal["aux_pair", "pair"] = "aux_pair"

    def needs(self) -> tuple[Port, ...]:
        """The pair features that ``reads`` names."""
        return (Port(self.reads, "B,L,L,p"),)

    def gives(self) -> tuple[Port, ...]:
        """Logits of a distance lying beyond each edge, and the edges."""
        return (
            Port("distance_logits", "B,L,L,k", width=self.bins - 1),
            Port("distance_edges", "B,k", width=self.bins - 1),
        )


class BinnedDistanceHeadConfig(DistanceBinsConfig):
    """Cα distances as classes, from the main pair features.

    Attributes:
        detached: leave gradients no way back to the pair features, as in v10.
    """

    bins: int = Field(96, ge=2)
    detached: bool = True

    def needs(self) -> tuple[Port, ...]:
        """The main pair features."""
        return (Port("pair", "B,L,L,p"),)

    def gives(self) -> tuple[Port, ...]:
        """One logit for each bin, and the edges between bins."""
        return (
            Port("distogram_logits", "B,L,L,n", width=self.bins),
            Port("distogram_edges", "B,k", width=self.bins - 1),
        )


class ResidueClassesConfig(ComponentConfig):
    """A class of every residue, from its features.

    Attributes:
        hidden: hidden width of the two-layer perceptron.
    """

    hidden: int = Field(128, ge=1)

    def needs(self) -> tuple[Port, ...]:
        """Residue features, and where there are residues."""
        return (Port("single", "B,L,d"), Port("mask", "B,L"))


class ResiduesHeadConfig(ResidueClassesConfig):
    """Which of the twenty amino acids every residue is."""

    def gives(self) -> tuple[Port, ...]:
        """A logit for each amino acid, in the order of their letters."""
        return (Port("residue_logits", "B,L,c", width=len(AMINO_ACIDS)),)


class SecondaryHeadConfig(ResidueClassesConfig):
    """Whether every residue is in a coil, a helix or a strand."""

    def gives(self) -> tuple[Port, ...]:
        """A logit for each of the three, in that order."""
        return (Port("secondary_logits", "B,L,c", width=3),)
