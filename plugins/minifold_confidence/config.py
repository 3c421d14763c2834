"""Config of the confidence head; no torch here."""

from __future__ import annotations

from minifold_core.components import ComponentConfig
from minifold_core.ports import CONFIDENCE_PORT, SAMPLED_PORT, Port


class ExpectedLddtConfig(ComponentConfig):
    """The lDDT that predicted distances expect of a finished structure."""

    def needs(self) -> tuple[Port, ...]:
        """Classes of distances, and a finished structure."""
        return (
            Port("distogram_logits", "B,L,L,n"),
            Port("distogram_edges", "B,k"),
            Port("mask", "B,L"),
            SAMPLED_PORT,
            Port("scale", "B"),
        )

    def gives(self) -> tuple[Port, ...]:
        """The lDDT of each residue."""
        return (CONFIDENCE_PORT,)
