"""Entry point: the invariant point attention denoiser."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The denoiser of v11 to v14."""
    return [
        ComponentSpec(
            kind="denoiser",
            name="ipa",
            config="minifold_ipa.config:IPADenoiserConfig",
            implementation="minifold_ipa.denoiser:IPADenoiser",
            summary="invariant point attention over per-residue frames",
            sizes={
                "nano": {
                    "layers": 4,
                    "heads": 4,
                    "head_dim": 16,
                    "query_points": 4,
                    "value_points": 4,
                    "d_model": 128,
                    "d_ffn": 256,
                    "d_frame": 128,
                    "d_time": 64,
                }
            },
        )
    ]
