"""What earlier calls found: it holds for as long as nothing has changed that it depends on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from minifold_core.console import note
from minifold_core.errors import RequestError
from minifold_core.gates.record import GATES, Finding, GateReport, Outcome
from minifold_core.results import write_json

NAME = "gates.json"


class Kept:
    """The file ``gates.json`` of a version: a finding is in it as soon as its gate has ended.

    Attributes:
        path: the file.
        report: what it holds that is of the same recipe, data, code, device and seed as now.
    """

    def __init__(self, directory: Path, now: GateReport) -> None:
        """Read what is there; what was found otherwise will be replaced, and that is said.

        Args:
            directory: of the version.
            now: a report of this call, without findings.

        Raises:
            RequestError: the file is damaged.
        """
        self.path, self.report = directory / NAME, now
        before = _read(self.path)
        if before is None or not before.findings:
            return
        own, its = ({"seed": r.seed} | r.inputs for r in (now, before))
        if differ := [name for name, value in own.items() if its.get(name) != value]:
            gates = ", ".join(finding.gate for finding in before.findings)
            note(f"replacing {gates} in {self.path}: found with a different {', '.join(differ)}")
        else:
            self.report = replace(now, findings=before.findings)

    def of(self, gate: str) -> Finding | None:
        """What was found at a gate that ran to its end."""
        found = (finding for finding in self.report.findings if finding.gate == gate)
        return next((f for f in found if f.outcome is not Outcome.FAILED), None)

    def add(self, finding: Finding) -> None:
        """Write a finding to the file, in the place of an earlier one.

        Raises:
            MinifoldError: it cannot be written.
        """
        others = [f for f in self.report.findings if f.gate != finding.gate]
        ordered = sorted([*others, finding], key=lambda f: GATES.index(f.gate))
        self.report = replace(self.report, findings=tuple(ordered))
        write_json(self.path, self.report.to_dict())


def _read(path: Path) -> GateReport | None:
    if not path.exists():
        return None
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return GateReport(
            version=fields["version"],
            size=fields["size"],
            seed=fields["seed"],
            data=fields["data"],
            inputs=fields.get("inputs", {}),
            findings=tuple(
                Finding(**row | {"outcome": Outcome(row["outcome"])}) for row in fields["findings"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{path} is damaged ({error}); mend it, or move it away") from None
