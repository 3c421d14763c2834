"""Entry point: pair stacks."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The pair stacks of v12 and v13."""
    return [
        ComponentSpec(
            kind="pair_stack",
            name="axial",
            config="minifold_pairs.config:AxialPairStackConfig",
            implementation="minifold_pairs.axial:AxialPairStack",
            summary="row and column axial attention, linear relative positions clipped at 32",
        ),
        ComponentSpec(
            kind="pair_stack",
            name="triangle",
            config="minifold_pairs.config:TrianglePairStackConfig",
            implementation="minifold_pairs.triangle:TrianglePairStack",
            summary="triangle updates before axial attention, log-scaled relative positions",
        ),
    ]
