"""What the gates of a version found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

GATES = ("g0", "g1", "g2", "g3", "g4")


class Outcome(StrEnum):
    """How a gate ended."""

    PASS = "pass"
    STOP = "stop"
    NONE = "none"
    """The gate does not apply."""
    FAILED = "failed"
    """The gate could not be run to its end."""


@dataclass(frozen=True)
class Finding:
    """One gate: what it asked, what was seen, and the figures behind that.

    Attributes:
        gate: one of :data:`GATES`.
        asked: in words.
        seen: in words.
        outcome: how it ended.
        figures: numbers by name; JSON values.
    """

    gate: str
    asked: str
    seen: str
    outcome: Outcome
    figures: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def judged(
        cls, gate: str, asked: str, seen: str, passed: bool, figures: dict[str, Any]
    ) -> Finding:
        """A gate that ran to its end."""
        return cls(gate, asked, seen, Outcome.PASS if passed else Outcome.STOP, figures)


@dataclass(frozen=True)
class GateReport:
    """All gates of one version, in order.

    Attributes:
        version: its id, and ``size`` that of the model.
        seed: of everything that was drawn.
        data: where the chains come from.
        inputs: what else the findings depend on, as digests by name.
        findings: one per gate, in order.
    """

    version: str
    size: str
    seed: int
    data: str
    inputs: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def stops_at(self) -> str | None:
        """The first gate that stops the version or could not be run; None if there is none."""
        ends = (Outcome.STOP, Outcome.FAILED)
        return next((f.gate for f in self.findings if f.outcome in ends), None)

    @property
    def complete(self) -> bool:
        """Whether every gate could be run."""
        return all(finding.outcome is not Outcome.FAILED for finding in self.findings)

    @property
    def verdict(self) -> str:
        """One sentence."""
        ran = [f.gate for f in self.findings if f.outcome is not Outcome.NONE]
        first = next((f for f in self.findings if f.gate == self.stops_at), None)
        if not ran:
            return f"No gate that was asked for applies to {self.version}."
        if first is None:
            return f"{self.version} ({self.size}) passes {', '.join(ran)}."
        if first.outcome is Outcome.FAILED:
            return f"{self.version} ({self.size}): {first.gate} could not be run."
        return f"{self.version} ({self.size}) stops at {first.gate}: {first.seen}."

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self) | {"stops_at": self.stops_at, "verdict": self.verdict}
