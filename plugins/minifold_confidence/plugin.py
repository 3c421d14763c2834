"""Entry point: the confidence head."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Expected lDDT of every residue."""
    return [
        ComponentSpec(
            kind="head",
            name="expected_lddt",
            config="minifold_confidence.config:ExpectedLddtConfig",
            implementation="minifold_confidence.head:ExpectedLddt",
            summary="lDDT of every residue of a sampled structure that predicted distances expect",
        )
    ]
