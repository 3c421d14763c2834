"""The plan of a migration: one verdict for every tensor of the file and of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from minifold_core.errors import ProtectedError
from minifold_core.weights.lineage import Route
from minifold_core.weights.mend import Fault, unexplained
from minifold_core.weights.structure import Structure
from minifold_core.weights.verdicts import ALLOWED, CARRIED, Entry, apart, resolve, slot_verdicts


class Expectation(NamedTuple):
    """A slot that the versions between file and model declare unchanged."""

    slot: str
    by: str
    met: bool


@dataclass(frozen=True)
class Plan:
    """What a migration does, complete before anything is done.

    Attributes:
        source: the file's side.
        target: the model's side.
        entries: every tensor of both sides, each once.
        faults: what forbids the migration.
        expectations: what versions declare of it.
        notes: what the user should know beside.
        allow_mismatch: whether the user let something be fresh that does not fit.
    """

    source: Structure
    target: Structure
    entries: tuple[Entry, ...]
    faults: tuple[Fault, ...]
    expectations: tuple[Expectation, ...]
    notes: tuple[str, ...]
    allow_mismatch: bool

    @property
    def moves(self) -> tuple[Entry, ...]:
        """The entries whose tensors go from the file into the model."""
        return tuple(entry for entry in self.entries if entry.verdict in CARRIED)

    @property
    def carried(self) -> tuple[str, ...]:
        """The slots that come from the file whole."""
        return _carried(self.target, self.entries)

    def check(self) -> None:
        """Refuse a plan that must not be carried out.

        Raises:
            ProtectedError: it has faults; the first is told, and what mends it.
        """
        if self.faults:
            first, *others = self.faults
            more = f" (and {len(others)} more)" if others else ""
            raise ProtectedError(
                f"{self.source.label} does not go into {self.target.label}: {first.what}{more}\n"
                f"{first.mend}"
            )


def plan_migration(
    source: Structure,
    target: Structure,
    allow_mismatch: bool = False,
    elsewhere: Mapping[str, str] | None = None,
) -> Plan:
    """Decide what becomes of every tensor; nothing is read or written.

    Args:
        source: what a file holds.
        target: what a recipe builds.
        allow_mismatch: let tensors without an explanation be fresh or dropped, and start a
            denoiser fresh that cannot be carried; the plan records it.
        elsewhere: slots that are filled from another file, and which, in words.
    """
    route = Route.between(source.lineage, target.lineage)
    entries: list[Entry] = []
    faults: list[Fault] = []
    filled = elsewhere or {}
    for slot, other in filled.items():
        entries += apart(slot, source.slots.get(slot, {}), target.slots.get(slot, {}), other)
    for slot in dict.fromkeys((*target.slots, *source.slots)):
        if slot in filled:
            continue
        found, complaints = slot_verdicts(slot, source, target, route)
        entries += found
        faults += complaints
    expectations = tuple(
        expected
        for expected in _expectations(source, target, route, entries)
        if expected.slot not in filled
    )
    excusable = unexplained(entries, source, target)
    if "denoiser" in source.slots or not expectations:  # else: a trunk made for the model
        excusable += _without_denoiser(target, entries)
    excusable += _missed(expectations, entries)
    if allow_mismatch:
        entries = [resolved for entry in entries for resolved in resolve(entry)]
    else:
        faults += excusable
    if not faults and not any(entry.verdict in CARRIED for entry in entries):
        what = "nothing carries over"
        faults.append(Fault(what, f"start {target.label} without the file, or choose another"))
    notes = _notes(source, target, entries)
    excused = allow_mismatch and bool(excusable)
    return Plan(source, target, tuple(entries), tuple(faults), expectations, notes, excused)


def _carried(target: Structure, entries: Iterable[Entry]) -> tuple[str, ...]:
    """Slots of the model none of whose tensors come from elsewhere than the file."""
    own = [entry for entry in entries if entry.target]
    lost = {entry.slot for entry in own if entry.verdict not in CARRIED}
    have = {entry.slot for entry in own}
    return tuple(slot for slot in target.slots if slot in have - lost)


def _expectations(
    source: Structure, target: Structure, route: Route, entries: list[Entry]
) -> tuple[Expectation, ...]:
    """What versions declare, of one size, of slots that flags and files have not changed."""
    if source.size != target.size:
        return ()
    carried = _carried(target, entries)
    native = source.native & target.native
    return tuple(
        Expectation(slot, route.says(slot), slot in carried)
        for slot in target.slots
        if slot in native and route.exact(slot)
    )


def _missed(expectations: Iterable[Expectation], entries: Iterable[Entry]) -> list[Fault]:
    told = {entry.slot for entry in entries if entry.verdict == "unexplained"}
    return [
        Fault(
            f"{expected.by} declares {expected.slot} exact, and it does not carry over",
            f"move '{expected.slot}' to [changed] there, with the reason; or {ALLOWED}",
        )
        for expected in expectations
        if not expected.met and expected.slot not in told
    ]


def _without_denoiser(target: Structure, entries: list[Entry]) -> list[Fault]:
    """The refusal of a plan that would start the denoiser fresh."""
    denoiser = [entry for entry in entries if entry.slot == "denoiser" and entry.target]
    if not denoiser or any(entry.verdict != "fresh" for entry in denoiser):
        return []
    carried, why = _carried(target, entries), denoiser[0].why
    if not carried:
        what = f"nothing carries over; the denoiser does not: {why}"
        return [Fault(what, f"start {target.label} without the file, or choose another")]
    kept = ", ".join(carried)
    what = f"trunk only: {kept} {'carry' if len(carried) > 1 else 'carries'} over, the denoiser "
    way = f"{ALLOWED} carries that and starts the rest fresh"
    if "encoder" in carried:
        way += "; train --encoder-from FILE takes the encoder alone"
    return [Fault(f"{what}does not: {why}", way)]


def _notes(source: Structure, target: Structure, entries: list[Entry]) -> tuple[str, ...]:
    notes = []
    carried = _carried(target, entries)
    for slot in carried:
        was, now = (source.parts or {}).get(slot), (target.parts or {}).get(slot)
        changes = was.changes(now) if was and now else []
        if changes:
            notes.append(f"{slot}: the same weights at {', '.join(changes)}")
    if "denoiser" in carried and source.scale not in ("", target.scale):
        notes.append(f"the denoiser's coordinates change: scale {source.scale} → {target.scale}")
    for slot, part in (source.parts or {}).items():
        if not source.slots[slot] and slot not in (target.parts or {}):
            keep = f"--with {slot}={part.name} keeps it"
            notes.append(f"{slot}, which has no weights, stays behind; {keep}")
    return tuple(notes)
