"""Entry point: the flow-matching process."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Straight paths from noise to structures."""
    return [
        ComponentSpec(
            kind="process",
            name="flow",
            config="minifold_flow.config:FlowConfig",
            implementation="minifold_flow.process:Flow",
            summary="flow matching: straight paths from noise to Cα coordinates, Euler steps",
        )
    ]
