"""What is wrong with tensors that no rule explains, and the rule or deed that would mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from minifold_core.components import slot_kind
from minifold_core.discovery import component
from minifold_core.weights.ranges import ranges
from minifold_core.weights.rules import where_rules_live
from minifold_core.weights.structure import Structure

if TYPE_CHECKING:
    from minifold_core.weights.verdicts import Entry


RESHAPED = ("drop", "fresh")


class Fault(NamedTuple):
    """What forbids a migration, and what mends it."""

    what: str
    mend: str


def unexplained(entries: Sequence[Entry], source: Structure, target: Structure) -> list[Fault]:
    """One fault for each module that was renamed, then for each kind of other unexplained tensor.

    Args:
        entries: of the whole plan.
        source: what the file holds.
        target: what the model needs.
    """
    loose = [entry for entry in entries if entry.verdict == "unexplained"]
    extra = [entry for entry in loose if entry.target is None]
    missing = [entry for entry in loose if entry.source is None]
    # A stranger's file may have a whole slot under another name.
    absent = [e for e in entries if e.verdict == "fresh" and e.slot not in source.slots]
    renamed = _renamed(extra, missing + absent)
    faults = [
        Fault(
            f"'{old}' of the file looks like '{new}' under another name",
            _mend(slot, source, target, "rename", old, new),
        )
        for (slot, old, new) in renamed
    ]
    explained = {name for pairs in renamed.values() for pair in pairs for name in pair}
    shaped = [entry for entry in loose if entry.source and entry.target]
    for group, verb, said in (
        (shaped, "", "{} is {} in the file and {} in {}"),
        (missing, "fresh", "{} is missing in the file"),
        (extra, "drop", "{} is in the file alone"),
    ):
        rest = [e for e in group if not {e.source, e.target} & explained]
        for slot in dict.fromkeys(entry.slot for entry in rest):
            inside = [entry for entry in rest if entry.slot == slot]
            first = inside[0]
            name = first.target or first.source or ""
            if group is not shaped:
                names = [entry.target or entry.source or "" for entry in inside]
                others = [*source.tensors, *target.tensors]
                name = ranges(names, set(others) - set(names))[0]
            shapes = [list(s) for s in (first.source_shape, first.target_shape) if s is not None]
            what = said.format(f"'{name}'", *shapes, target.label)
            faults.append(Fault(what, _mend(slot, source, target, verb, name, "")))
    return faults


def _mend(slot: str, source: Structure, target: Structure, verb: str, old: str, new: str) -> str:
    """The rule to add; where no rule can help, the deed."""
    otherwise = "use the file as it was written, or --allow-mismatch"
    was, now = (source.parts or {}).get(slot), (target.parts or {}).get(slot)
    known = was is not None and now is not None
    if verb == "rename" and not (known and old.startswith(f"{slot}.")):
        return f"write the file with '{new}' in place of '{old}', or --allow-mismatch"
    if was is None or now is None:
        return otherwise
    spec = component(slot_kind(slot), now.name)
    number = was.version + 1
    inside = [name.removeprefix(f"{slot}.") for name in (old, new)]
    # Another shape takes two rules: the file's tensor goes and the model's is fresh.
    tables = [f"[{spec.kind}.{spec.name}.{number}.{v}]" for v in ([verb] if verb else RESHAPED)]
    rule = f'"{inside[0]}" = "{inside[1] or "why"}"'
    rules = " and ".join(f"{table} {rule}" for table in tables)
    if now.version >= number:
        return f"add to {where_rules_live(spec)}: {rules}; or --allow-mismatch"
    file = "" if verb else "it does not hold what its recipe says: "
    return (
        f"if '{spec.name}' changed since the file was written, raise the version of its "
        f"ComponentSpec to {number}, with {rules} in {where_rules_live(spec)}; else {file}"
        f"{otherwise}"
    )


def _renamed(
    extra: Sequence[Entry], missing: Sequence[Entry]
) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
    """Modules that seem to have changed their names: (slot, old, new) to the tensors in them."""
    found: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    taken: set[str] = set()
    pairs = [
        (entry.source, other.target, other.slot)
        for entry in extra
        for other in missing
        if entry.source and other.target and entry.source_shape == other.target_shape
    ]
    heads = Counter(_heads(old, new) for old, new, _ in pairs)
    for old, new, slot in sorted(pairs, key=lambda pair: -heads[_heads(*pair[:2])]):
        before, after = _heads(old, new)
        if before and old.split(".")[-1] != before.split(".")[-1] and not {old, new} & taken:
            taken |= {old, new}
            found.setdefault((slot, before, after), []).append((old, new))
    return found


def _heads(old: str, new: str) -> tuple[str, str]:
    """Two names without the words that they end on alike; a number that both have is ``*``."""
    a, b = old.split("."), new.split(".")
    while a and b and a[-1] == b[-1]:
        a.pop()
        b.pop()
    for place, (x, y) in enumerate(zip(a, b, strict=False)):
        if x == y and x.isdecimal():
            a[place] = b[place] = "*"
    return ".".join(a), ".".join(b)
