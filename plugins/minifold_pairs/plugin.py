"""Entry point: pair stacks."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


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
            sizes={
                "nano": {"d_pair": 32, "blocks": 2, "heads": 1, "head_dim": 32, "opm_hidden": 8}
            },
        ),
        ComponentSpec(
            kind="pair_stack",
            name="triangle",
            config="minifold_pairs.config:TrianglePairStackConfig",
            implementation="minifold_pairs.triangle:TrianglePairStack",
            summary="triangle updates before axial attention, log-scaled relative positions",
            sizes={
                "nano": {
                    "d_pair": 32,
                    "blocks": 2,
                    "heads": 1,
                    "head_dim": 32,
                    "opm_hidden": 16,
                    "tri_mul_dim": 16,
                }
            },
        ),
    ]
