"""Entry point: the invariant point attention denoiser."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl


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
        )
    ]
