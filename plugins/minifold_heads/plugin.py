"""Entry point: prediction heads."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The radius of gyration and distance heads."""
    return [
        ComponentSpec(
            kind="head",
            name="rg",
            config="minifold_heads.config:RgHeadConfig",
            implementation="minifold_heads.rg:RgHead",
            summary="logarithm of the radius of gyration from pooled residue features",
            sizes={"nano": {"hidden": 64}},
        ),
        ComponentSpec(
            kind="head",
            name="ordinal_distance",
            config="minifold_heads.config:OrdinalDistanceHeadConfig",
            implementation="minifold_heads.distance:OrdinalDistanceHead",
            summary="Cα distances as ordered thresholds, read from a pair representation",
        ),
    ]
