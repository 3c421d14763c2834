"""The hooks that a plugin may implement. A plugin module is light: no torch, no numpy."""

from __future__ import annotations

import pluggy

from minifold_core.components import ComponentSpec

PROJECT = "minifold"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def minifold_components() -> list[ComponentSpec]:
    """The components that the plugin offers."""
    raise NotImplementedError
