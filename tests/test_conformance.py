"""Every installed component passes the conformance kit."""

from __future__ import annotations

import pytest

from minifold_core.components import KINDS
from minifold_core.discovery import find_components
from minifold_core.testing import Case, cases

COMPONENTS = sorted(find_components().items)


def test_every_kind_is_covered() -> None:
    assert {name.partition("/")[0] for name in COMPONENTS} == set(KINDS)


@pytest.mark.parametrize("case", [c for name in COMPONENTS for c in cases(name)], ids=str)
def test_conformance(case: Case) -> None:
    case.run()
