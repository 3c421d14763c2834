"""Plugins for tests, written as installed distributions: a module beside its ``dist-info``."""

from __future__ import annotations

from pathlib import Path

HOOKS = """
from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1
"""
GOOD = (
    HOOKS
    + """
@hookimpl
def minifold_components():
    return [ComponentSpec("loss", "{name}", "minifold_losses.config:FAPEConfig",
                          "minifold_losses.frames:FAPELoss", "a copy")]
"""
)


def write_distribution(
    root: Path,
    distribution: str,
    entry: str,
    source: str,
    group: str = "minifold.plugins",
    needs: tuple[str, ...] = (),
) -> str:
    """Write a distribution of one module with one entry point ``NAME[=VALUE]`` to a directory of
    ``sys.path``; return the module's name. ``needs`` are other distributions, as pip writes them.
    """
    module = distribution.replace("-", "_")
    (root / f"{module}.py").write_text(source)
    info = root / f"{module}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", "Version: 1.0"]
    lines += [f"Requires-Dist: {need}" for need in needs]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    name, _, value = entry.partition("=")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value or module}\n")
    return module
