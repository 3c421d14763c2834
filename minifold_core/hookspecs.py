"""The hooks that a plugin may implement. A plugin module is light: no torch, no numpy.

It says beside its hooks for which plugin API it was written: ``minifold_api = 1``.
"""

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


@hookspec
def minifold_commands() -> dict[str, str]:
    """Commands to add: a name to ``"package.module:app"``, a Typer app or a function.

    The module is imported when the command is called, and for its line in ``minifold --help``.
    """
    raise NotImplementedError
