"""Entry point: the equivariant graph network denoiser."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The denoiser of v8 to v10."""
    return [
        ComponentSpec(
            kind="denoiser",
            name="egnn",
            config="minifold_egnn.config:EGNNDenoiserConfig",
            implementation="minifold_egnn.denoiser:EGNNDenoiser",
            summary="E(n)-equivariant graph network over all residue pairs",
            sizes={"nano": {"layers": 4, "d_model": 128, "d_edge": 64, "d_ffn": 256, "d_time": 64}},
        )
    ]
