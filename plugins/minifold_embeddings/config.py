"""Config of the encoder of precomputed embeddings; no torch here."""

from __future__ import annotations

from pydantic import PositiveInt

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port


class EmbeddingsEncoderConfig(ComponentConfig):
    """An encoder that reads what another model, such as a language model, made of the sequence.

    Attributes:
        d_embedding: width of the embeddings; ``minifold train --embeddings FILE`` takes it from the
            file. The default is that of ESM-2 with 650 M parameters.
        d_model: width of the residue features.
    """

    d_embedding: PositiveInt = 1280
    d_model: PositiveInt = 128

    def needs(self) -> tuple[Port, ...]:
        """Embeddings, and which residues are hidden; the residues themselves are not read."""
        return (
            Port("embeddings", "B,L,e", width=self.d_embedding),
            Port("tokens", "B,L"),
            Port("mask", "B,L"),
        )

    def gives(self) -> tuple[Port, ...]:
        """Residue features."""
        return (Port("single", "B,L,d", width=self.d_model),)
