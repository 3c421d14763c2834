"""``minifold doctor``."""

from __future__ import annotations

import typer

from minifold_core.cli.models import JsonOption
from minifold_core.cli.output import emit_json


def doctor(as_json: JsonOption = False) -> None:
    """Check the installation: software, devices, plugins, versions and the demo set."""
    from minifold_core.diagnosis import diagnose

    findings = diagnose()
    if as_json:
        emit_json([vars(finding) for finding in findings])
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'FAIL'} {finding.what}: {finding.result}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
