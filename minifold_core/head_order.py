"""In which order heads run: one may read what another gives."""

from __future__ import annotations

from collections.abc import Sequence

from minifold_core.errors import RequestError
from minifold_core.recipe import Slot


def in_order(heads: Sequence[Slot]) -> list[Slot]:
    """Heads in the order of the recipe, but each behind those that give what it reads.

    Raises:
        RequestError: some need each other.
    """
    ordered: list[Slot] = []
    waiting = list(heads)
    while waiting:
        ready = next((head for head in waiting if not _awaited(head, waiting)), None)
        if ready is None:
            raise RequestError(_circle(waiting))
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _awaited(head: Slot, heads: Sequence[Slot]) -> list[tuple[Slot, str]]:
    """The other heads that give what ``head`` reads, and which port."""
    reads = {port.name for port in head.config.needs()}
    return [
        (other, port.name)
        for other in heads
        if other is not head
        for port in other.config.gives()
        if port.name in reads
    ]


def _circle(heads: Sequence[Slot]) -> str:
    """The refusal of heads that all wait for each other."""
    head, seen = heads[0], list[Slot]()
    while head not in seen:
        seen.append(head)
        head = _awaited(head, heads)[0][0]
    clauses = []
    for each in seen[seen.index(head) :]:
        giver, port = _awaited(each, heads)[0]
        clauses.append(f"{each.path} reads '{port}' of {giver.path}")
    return f"heads read each other in a circle: {', '.join(clauses)}; leave one of them out"
