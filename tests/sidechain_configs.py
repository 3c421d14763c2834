"""Configs of the parts in ``sidechain_parts``; no torch here."""

from __future__ import annotations

from minifold_core.components import ComponentConfig
from minifold_core.ports import Port

TOKENS = Port("tokens", "B,L")
MASK = Port("mask", "B,L")
GIVEN = Port("given_backbone", "B,L,4,3", width=3)
BACKBONE = Port("backbone", "B,L,4,3", width=3)
SIDECHAIN = Port("sidechain", "B,L,10,3", width=3)
BURIAL = Port("burial", "B,L")
PACKER = """
schema = 1
[encoder]
component = "given"
[heads.atoms]
component = "atoms"
[losses.atoms]
weight = 1.0
[training]
learning_rate = 1e-3
"""
"""A recipe of these parts."""


class AtomsConfig(ComponentConfig):
    """Side chains on a backbone."""

    def needs(self) -> tuple[Port, ...]:
        return (BACKBONE, TOKENS, MASK)

    def gives(self) -> tuple[Port, ...]:
        return (SIDECHAIN,)


class CircleConfig(AtomsConfig):
    """Side chains that wait for what is made of them."""

    def needs(self) -> tuple[Port, ...]:
        return (*super().needs(), BURIAL)


class BurialConfig(ComponentConfig):
    """How buried side chains are."""

    def needs(self) -> tuple[Port, ...]:
        return (SIDECHAIN, MASK)

    def gives(self) -> tuple[Port, ...]:
        return (BURIAL,)


class GivenConfig(ComponentConfig):
    """The backbone as it is given."""

    def needs(self) -> tuple[Port, ...]:
        return (TOKENS, MASK, GIVEN, Port("given_backbone_mask", "B,L,4"))

    def gives(self) -> tuple[Port, ...]:
        return (Port("single", "B,L,d", width=4), BACKBONE)


class GivenHeadConfig(ComponentConfig):
    """A head that looks at the answer."""

    def needs(self) -> tuple[Port, ...]:
        return (GIVEN, MASK)

    def gives(self) -> tuple[Port, ...]:
        return (BURIAL,)


class AtomsLossConfig(ComponentConfig):
    """Side chains against the native ones."""

    def needs(self) -> tuple[Port, ...]:
        return (
            SIDECHAIN,
            BACKBONE,
            Port("truth.tokens", "B,L"),
            Port("truth.sidechain", "B,L,10,3", width=3),
            Port("truth.backbone", "B,L,4,3", width=3),
        )
