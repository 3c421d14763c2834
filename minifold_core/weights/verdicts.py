"""The verdict on each tensor of a slot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from minifold_core.components import slot_kind
from minifold_core.discovery import component
from minifold_core.weights.layout import Shape
from minifold_core.weights.lineage import Route
from minifold_core.weights.mend import Fault
from minifold_core.weights.rules import Moved, matches, move
from minifold_core.weights.structure import Structure

Verdict = Literal["copied", "renamed", "fresh", "dropped", "unexplained"]
CARRIED: tuple[Verdict, ...] = ("copied", "renamed")
ALLOWED = "--allow-mismatch"


class Entry(NamedTuple):
    """The verdict on a tensor of the file, of the model, or of both where they meet.

    Attributes:
        slot: where it lies; empty for a tensor of no slot.
        verdict: what becomes of it.
        source: its name in the file.
        target: its name in the model.
        source_shape: its shape in the file.
        target_shape: its shape in the model.
        why: the reason, of all verdicts but copied and renamed.
    """

    slot: str
    verdict: Verdict
    source: str | None
    target: str | None
    source_shape: Shape | None
    target_shape: Shape | None
    why: str = ""


def slot_verdicts(
    slot: str, source: Structure, target: Structure, route: Route
) -> tuple[list[Entry], list[Fault]]:
    """The verdicts on a slot's tensors, and rules that cannot be followed."""
    old, new = source.slots.get(slot, {}), target.slots.get(slot, {})
    if not slot:
        return [_left(slot, name, shape, "it lies in no slot") for name, shape in old.items()], []
    if slot not in target.slots:
        return _replaced(slot, old, {}, f"the recipe has no {slot}", route), []
    if slot not in source.slots:
        return _replaced(slot, {}, new, f"the file has no {slot}", route), []
    if source.parts is None or target.parts is None:
        return _matched(slot, old, new, _as_they_are(old)), []
    was, now = source.parts[slot], target.parts[slot]
    if was.name != now.name:
        return _replaced(slot, old, new, f"{was.name} → {now.name}", route), []
    faults: list[Fault] = []
    moved = _as_they_are(old)
    if was.version > now.version:
        what = f"{slot} was made by {was.name}/{was.version}, newer than {now.name}/{now.version}"
        faults.append(Fault(what, "update the plugin that offers it"))
    elif was.version < now.version:
        moved = move(component(slot_kind(slot), now.name), was.version, old)
        faults += [Fault(fault, "rules must be exact") for fault in moved.faults]
        faults += [
            Fault(f"{slot}: the rule fresh '{pattern}' matches nothing", "take the rule out")
            for pattern in moved.fresh
            if not any(matches(pattern, name) for name in new.keys() - moved.names.keys())
        ]
    entries = _matched(slot, old, new, moved)
    changes = was.in_short(now)
    if changes and any(entry.verdict == "unexplained" for entry in entries):
        return _replaced(slot, old, new, changes, route, False), faults
    return entries, faults


def _as_they_are(names: Iterable[str]) -> Moved:
    return Moved({name: name for name in names}, {}, {}, [])


def _replaced(
    slot: str,
    old: dict[str, Shape],
    new: dict[str, Shape],
    fact: str,
    route: Route,
    replaced: bool = True,
) -> list[Entry]:
    """A slot of which nothing carries over: the file's is dropped, the model's fresh."""
    said = route.why(slot, replaced)
    return apart(slot, old, new, f"{fact} ({said})" if said else fact)


def apart(slot: str, old: dict[str, Shape], new: dict[str, Shape], why: str) -> list[Entry]:
    """The model's tensors of a slot do not come from the file, whose tensors are left out."""
    fresh = [Entry(slot, "fresh", None, f"{slot}.{n}", None, s, why) for n, s in new.items()]
    return fresh + [
        Entry(slot, "dropped", f"{slot}.{n}", None, s, None, why) for n, s in old.items()
    ]


def _matched(slot: str, old: dict[str, Shape], new: dict[str, Shape], moved: Moved) -> list[Entry]:
    """Tensor by tensor: equal names and shapes meet, rules explain, the rest is unexplained."""
    entries = []
    for name, shape in new.items():
        origin, target = moved.names.get(name), f"{slot}.{name}"
        if origin is None:
            rule = next((why for p, why in moved.fresh.items() if matches(p, name)), "")
            verdict: Verdict = "fresh" if rule else "unexplained"
            why = rule or "it is not in the file"
            entries.append(Entry(slot, verdict, None, target, None, shape, why))
            continue
        source = f"{slot}.{origin}"
        if old[origin] != shape:
            why = "its shape differs"
            entries.append(Entry(slot, "unexplained", source, target, old[origin], shape, why))
        else:
            verdict = "copied" if origin == name else "renamed"
            entries.append(Entry(slot, verdict, source, target, shape, shape))
    for name, why in moved.dropped.items():
        entries.append(Entry(slot, "dropped", f"{slot}.{name}", None, old[name], None, why))
    for name, origin in moved.names.items():
        if name not in new:
            entries.append(_left(slot, f"{slot}.{origin}", old[origin], "it is in the file alone"))
    return entries


def _left(slot: str, name: str, shape: Shape, why: str) -> Entry:
    return Entry(slot, "unexplained", name, None, shape, None, why)


def resolve(entry: Entry) -> list[Entry]:
    """What ``--allow-mismatch`` makes of an entry."""
    if entry.verdict != "unexplained":
        return [entry]
    why = f"{entry.why} ({ALLOWED})"
    found = []
    if entry.target:
        fresh = entry._replace(verdict="fresh", source=None, source_shape=None, why=why)
        found.append(fresh)
    if entry.source:
        dropped = entry._replace(verdict="dropped", target=None, target_shape=None, why=why)
        found.append(dropped)
    return found
