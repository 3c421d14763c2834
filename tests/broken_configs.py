"""Configs of the sound and broken components that the conformance kit is tested with; no torch."""

from __future__ import annotations

from pydantic import ConfigDict

from minifold_core.components import ComponentConfig
from minifold_core.ports import SAMPLED_PORT, Port

SINGLE, MASK, CONTACTS = Port("single", "B,L,d"), Port("mask", "B,L"), Port("contacts", "B,L,L")
COORDS = Port("coords", "B,L,3", width=3)
STATE = Port("coords_t", "B,L,3", width=3)


class HeadConfig(ComponentConfig):
    width: int = 4

    def needs(self) -> tuple[Port, ...]:
        return (SINGLE, MASK, Port("contacts", "B,L,L", optional=True))

    def gives(self) -> tuple[Port, ...]:
        return (Port("marks", "B,L,k", width=self.width),)


class MisspeltHeadConfig(HeadConfig):
    def needs(self) -> tuple[Port, ...]:
        return (Port("sinlge", "B,L,d"), MASK, CONTACTS)


class JudgingHeadConfig(HeadConfig):
    def needs(self) -> tuple[Port, ...]:
        return (*super().needs(), SAMPLED_PORT)


class OpenHeadConfig(HeadConfig):
    model_config = ConfigDict(extra="ignore")


class ForgetfulHeadConfig(HeadConfig):
    limit: int | None = 3


class DenoiserConfig(ComponentConfig):
    def needs(self) -> tuple[Port, ...]:
        return (SINGLE, MASK, STATE)

    def gives(self) -> tuple[Port, ...]:
        return (COORDS,)


class LossConfig(ComponentConfig):
    def needs(self) -> tuple[Port, ...]:
        return (COORDS, Port("truth.ca", "B,L,3", width=3))
