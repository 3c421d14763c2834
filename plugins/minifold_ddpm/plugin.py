"""Entry point: the denoising diffusion process."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The process of the whole published line."""
    return [
        ComponentSpec(
            kind="process",
            name="ddpm",
            config="minifold_ddpm.config:DDPMConfig",
            implementation="minifold_ddpm.process:DDPM",
            summary="cosine noise on Cα coordinates, DDIM steps with eta",
        )
    ]
