"""Entry point: the transformer denoiser."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The denoiser of v15."""
    return [
        ComponentSpec(
            kind="denoiser",
            name="transformer",
            config="minifold_transformer.config:TransformerDenoiserConfig",
            implementation="minifold_transformer.denoiser:TransformerDenoiser",
            summary="attention with pair bias; reads raw coordinates and chain neighbours",
            sizes={"nano": {"layers": 6, "heads": 4, "d_model": 128, "d_time": 64}},
        )
    ]
