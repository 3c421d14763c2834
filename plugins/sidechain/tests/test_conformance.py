"""The kit that every component must pass."""

from __future__ import annotations

import pytest

from minifold_core.testing import Case, cases
from minifold_sidechain.config import SidechainHeadConfig

TINY = SidechainHeadConfig(d_model=12, d_edge=8, neighbours=3, layers=2, moves_backbone=True)


@pytest.mark.parametrize("case", cases("sidechain"), ids=str)
def test_conformance(case: Case) -> None:
    case.run()


@pytest.mark.parametrize("case", cases("head/sidechain", [TINY]), ids=str)
def test_a_head_that_moves_its_backbone(case: Case) -> None:
    case.run()
