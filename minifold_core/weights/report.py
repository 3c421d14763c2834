"""What a migration did or would do, for people and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from minifold_core.weights.plan import Plan
from minifold_core.weights.ranges import ranges
from minifold_core.weights.verdicts import Entry

if TYPE_CHECKING:
    from minifold_core.weights.file import WeightsFile

SCHEMA = 1
_SHOWN = 8
"""Mismatched shapes and ranges of names that a table lists before it counts the rest."""


@dataclass(frozen=True)
class Row:
    """The tensors of a slot that have one verdict for one reason.

    Attributes:
        slot: the slot, or empty for tensors of no slot.
        verdict: what becomes of them.
        tensors: how many.
        parameters: how many numbers they hold.
        percent: of the model's parameters; None for what is only in the file.
        names: the tensors as the shortest ranges.
        why: the reason.
    """

    slot: str
    verdict: str
    tensors: int
    parameters: int
    percent: float | None
    names: list[str]
    why: str = ""


@dataclass(frozen=True)
class Report:
    """A migration in figures.

    Attributes:
        source: the file: name, version, size, and what its header says of it.
        target: the model: version and size.
        outcome: ``"carried"`` or ``"refused"``.
        refused: why, if it is.
        allow_mismatch: whether the user let something be fresh that does not fit.
        given: parameters of the model that come from the file.
        total: parameters of the model.
        rows: what becomes of each slot.
        shapes: tensors whose shapes differ, with both shapes.
        expectations: slots that versions declare exact, and whether they are.
        notes: what the user should know beside.
        verified: slots that computed the same in both models, if that was tried.
    """

    source: dict[str, Any]
    target: dict[str, Any]
    outcome: str
    refused: list[str]
    allow_mismatch: bool
    given: int
    total: int
    rows: list[Row]
    shapes: list[dict[str, Any]]
    expectations: list[dict[str, Any]]
    notes: list[str]
    verified: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, plan: Plan, file: WeightsFile | None = None) -> Report:
        """The report of a plan, and of the file that it was made for."""
        own = [entry for entry in plan.entries if entry.target]
        total = _parameters(own)
        return cls(
            source=_source(plan, file),
            target={"version": plan.target.id, "size": plan.target.size},
            outcome="refused" if plan.faults else "carried",
            refused=[f"{fault.what}; {fault.mend}" for fault in plan.faults],
            allow_mismatch=plan.allow_mismatch,
            given=_parameters(plan.moves),
            total=total,
            rows=list(_rows(plan, total)),
            shapes=[
                {"name": e.target, "file": list(e.source_shape), "model": list(e.target_shape)}
                for e in plan.entries
                if e.source_shape is not None
                and e.target_shape is not None
                and e.source_shape != e.target_shape
            ],
            expectations=[dict(expected._asdict()) for expected in plan.expectations],
            notes=[*plan.notes, *_conversions(file)],
        )

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, as ``migration.json`` and headers hold it."""
        return {"schema": SCHEMA, **asdict(self)}

    def remarks(self) -> list[str]:
        """Reasons, differing shapes, expectations and notes, a line each."""
        lines = []
        for why in dict.fromkeys(row.why for row in self.rows if row.why):
            rows = [row for row in self.rows if row.why == why]
            verdicts = " and ".join(dict.fromkeys(row.verdict for row in rows))
            names = list(dict.fromkeys(name for row in rows for name in row.names))
            lines.append(f"{verdicts}: {_some(names)}: {why}")
        shapes = [f"{s['name']}: {s['file']} in the file, {s['model']} here" for s in self.shapes]
        more = [f"and {len(shapes) - _SHOWN} more shapes"] if len(shapes) > _SHOWN else []
        lines += [*shapes[:_SHOWN], *more]
        if met := [e["slot"] for e in self.expectations if e["met"]]:
            lines.append(f"declared exact, and so it is: {', '.join(met)}")
        lines += [
            f"declared exact by {e['by']}, and is not: {e['slot']}"
            for e in self.expectations
            if not e["met"]
        ]
        lines += [f"note: {note}" for note in self.notes]
        if self.verified:
            lines.append(f"verified, the same output to the bit: {', '.join(self.verified)}")
        if self.allow_mismatch:
            lines.append("MISMATCH ALLOWED: what the file does not fit starts fresh")
        return lines


def _source(plan: Plan, file: WeightsFile | None) -> dict[str, Any]:
    """What the report keeps of the file: enough to tell it from others."""
    source = plan.source
    known: dict[str, Any] = {"label": source.label, "version": source.id, "size": source.size}
    if file and file.header:
        known |= {"step": file.header.step, "epoch": file.header.epoch}
    return known | ({"file": file.path.name} if file else {})


def _conversions(file: WeightsFile | None) -> list[str]:
    if file is None:
        return []
    odd = {info.dtype for info in file.tensors.values() if info.dtype[-2:] in ("16", "64")}
    floats = sorted(dtype for dtype in odd if "F" in dtype)
    return [*file.converted, *(f"{dtype} becomes the model's own precision" for dtype in floats)]


def _rows(plan: Plan, total: int) -> Iterable[Row]:
    groups: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in plan.entries:
        groups.setdefault((entry.slot, entry.verdict, entry.why), []).append(entry)
    for (slot, verdict, why), entries in groups.items():
        inside = [entry for entry in plan.entries if not slot or entry.slot == slot]
        in_file = verdict == "dropped" or not any(entry.target for entry in entries)
        percent = None if in_file else round(100 * _parameters(entries) / max(total, 1), 2)
        names = {_name(entry, in_file) for entry in entries}
        others = {name for entry in inside if (name := _name(entry, in_file))} - names
        yield Row(
            slot,
            verdict,
            len(entries),
            _parameters(entries),
            percent,
            ranges(sorted(names), others) if others or not slot else [slot],
            why,
        )


def _name(entry: Entry, in_file: bool) -> str:
    return (entry.source if in_file else entry.target) or ""


def _parameters(entries: Iterable[Entry]) -> int:
    shapes = (e.source_shape if e.target_shape is None else e.target_shape for e in entries)
    return sum(math.prod(shape) for shape in shapes if shape is not None)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
