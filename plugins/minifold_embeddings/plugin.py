"""Entry point: the encoder of precomputed embeddings."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The encoder."""
    return [
        ComponentSpec(
            kind="encoder",
            name="embeddings",
            config="minifold_embeddings.config:EmbeddingsEncoderConfig",
            implementation="minifold_embeddings.encoder:EmbeddingsEncoder",
            summary="projects precomputed embeddings, such as a language model's (--embeddings)",
            sizes={"nano": {"d_model": 64}},
        )
    ]
