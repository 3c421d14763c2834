"""Entry point: prediction heads."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The radius of gyration head, the two distance heads, and two that classify residues."""
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
        ComponentSpec(
            kind="head",
            name="binned_distance",
            config="minifold_heads.config:BinnedDistanceHeadConfig",
            implementation="minifold_heads.distance:BinnedDistanceHead",
            summary="Cα distances as classes, read from the main pair representation",
        ),
        ComponentSpec(
            kind="head",
            name="residues",
            config="minifold_heads.config:ResiduesHeadConfig",
            implementation="minifold_heads.residues:ResidueClassesHead",
            summary="amino acids from residue features, for residues that are hidden",
            sizes={"nano": {"hidden": 64}},
        ),
        ComponentSpec(
            kind="head",
            name="secondary",
            config="minifold_heads.config:SecondaryHeadConfig",
            implementation="minifold_heads.residues:ResidueClassesHead",
            summary="helix, strand or neither from residue features",
            sizes={"nano": {"hidden": 64}},
        ),
    ]
