"""The conformance kit: what every component must satisfy, built-in or a stranger's.

In a plugin's own tests::

    import pytest
    from minifold_core.testing import Case, cases

    @pytest.mark.parametrize("case", cases("myplugin"), ids=str)
    def test_conformance(case: Case) -> None:
        case.run()

``minifold plugins check myplugin`` runs the same from the command line, and :func:`command` runs a
command line as a user does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minifold_core.lazy import exports

if TYPE_CHECKING:
    from minifold_core.testing.commands import command
    from minifold_core.testing.inputs import draw
    from minifold_core.testing.subject import ConformanceError, perturb
    from minifold_core.testing.suite import Case, Check, cases, check_component, checks

__all__ = [
    "Case",
    "Check",
    "ConformanceError",
    "cases",
    "check_component",
    "checks",
    "command",
    "draw",
    "perturb",
]

_HOMES = {
    "Case": "suite",
    "Check": "suite",
    "ConformanceError": "subject",
    "cases": "suite",
    "check_component": "suite",
    "checks": "suite",
    "command": "commands",
    "draw": "inputs",
    "perturb": "subject",
}

__getattr__ = exports(__name__, _HOMES)
