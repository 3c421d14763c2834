"""Entry point: EDM's process."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Lognormal noise levels, as in AlphaFold 3."""
    return [
        ComponentSpec(
            kind="process",
            name="edm",
            config="minifold_edm.config:EDMConfig",
            implementation="minifold_edm.process:EDM",
            summary="EDM: lognormal noise on Cα coordinates, Euler steps closer where noise is low",
        )
    ]
