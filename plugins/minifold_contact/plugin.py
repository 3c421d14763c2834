"""Entry point: the contact encoder."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The encoder of the stage 1 contact classifier."""
    return [
        ComponentSpec(
            kind="encoder",
            name="contact",
            config="minifold_contact.config:ContactEncoderConfig",
            implementation="minifold_contact.encoder:ContactEncoder",
            summary="two transformer towers and two contact blocks with outer product mean",
            sizes={"nano": {"d_model": 64, "d_pair": 32, "tower_layers": 1, "opm_hidden": 8}},
        )
    ]
