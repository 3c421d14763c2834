"""Put a recipe's slots into the order of computation, each fed by those before it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from minifold_core.components import SLOT_KINDS
from minifold_core.errors import RequestError
from minifold_core.head_order import in_order
from minifold_core.ports import (
    DATA_PORTS,
    GIVEN_PORTS,
    READ_OUT_PORTS,
    SAMPLED_PORT,
    STATE_PORTS,
    Port,
)
from minifold_core.recipe import Recipe, Slot


@dataclass(frozen=True)
class Step:
    """One slot in the order of computation.

    Attributes:
        slot: what fills it.
        reads: the ports it receives; those that nobody gives are optional and will be None.
        gives: the component's own port name to the name under which the model knows it.
        widths: port name to the size of its last axis, for the component's constructor.
        per_state: False for what depends on the sequence alone and is computed once per protein.
        finished: whether it judges finished structures, which are there in sampling alone.
    """

    slot: Slot
    reads: tuple[str, ...]
    gives: dict[str, str]
    widths: dict[str, int]
    per_state: bool
    finished: bool = False


@dataclass(frozen=True)
class Placed:
    """Slots whose needs are met.

    Attributes:
        steps: the slots in the order of computation.
        trunk: the data's ports and those given before the denoiser, by name.
        state: those that the denoiser and what stands behind it give, in training too.
    """

    steps: list[Step]
    trunk: dict[str, Port]
    state: dict[str, Port]


class MissingPort(Exception):
    """Nothing gives a port that a slot needs."""

    def __init__(self, slot: Slot, need: Port) -> None:
        self.who = f"{slot.path} '{slot.spec.name}'"
        super().__init__(f"{self.who} needs port '{need.name}'")
        self.path = slot.path
        self.need = need


def place(recipe: Recipe) -> Placed:
    """Match what every slot needs with what those before it give.

    Raises:
        MissingPort: a needed port is missing.
        RequestError: one has the wrong width, or is given twice; or heads need each other.
    """
    given = () if "denoiser" in recipe.slots else GIVEN_PORTS
    trunk = {port.name: port for port in (*DATA_PORTS, *given)}
    state: dict[str, Port] = {}
    judged: dict[str, Port] = {}
    noised = {port.name: port for port in STATE_PORTS}
    read_out = {port.name: port for port in READ_OUT_PORTS}
    steps: list[Step] = []
    for path in (p for p in SLOT_KINDS if p in recipe.slots):
        if path == "denoiser":
            steps.append(_step(recipe.slots[path], trunk | noised, state, True))
        else:
            steps.append(_step(recipe.slots[path], trunk, trunk, False))
    for slot in in_order([s for path, s in recipe.slots.items() if path.startswith("heads.")]):
        needs = slot.config.needs()
        if not any(p.name not in trunk for p in needs if not p.optional):
            steps.append(_step(slot, trunk, trunk, False, taken=state | judged))
        elif any(p.name == SAMPLED_PORT.name or p.name in judged for p in needs):
            there = trunk | state | read_out | judged
            steps.append(replace(_step(slot, there, judged, True), finished=True))
        else:
            steps.append(_step(slot, trunk | state | read_out, state, True, taken=judged))
    return Placed(steps, trunk, state)


def _step(
    slot: Slot,
    there: dict[str, Port],
    into: dict[str, Port],
    per_state: bool,
    taken: Collection[str] = (),
) -> Step:
    """Match one slot's needs with the ports that are ``there``; add what it gives to ``into``.

    ``taken`` are names that it cannot read, but that somebody gives already.
    """
    who = f"{slot.path} '{slot.spec.name}'"
    reads, widths = [], {}
    for need in slot.config.needs():
        reads.append(need.name)
        given = there.get(need.name)
        if given is None:
            if not need.optional:
                raise MissingPort(slot, need)
            continue
        if need.width is not None and given.width not in (None, need.width):
            raise RequestError(
                f"{who} needs port '{need.name}' {need.width} wide; it is given {given.width} wide"
            )
        if given.width is not None:
            widths[need.name] = given.width
    gives = {}
    for port in slot.config.gives():
        name = model_port(slot.path, port.name)
        if name in there or name in taken:
            raise RequestError(f"port '{name}' is given twice; the second time by {who}")
        gives[port.name] = name
        into[name] = port
    return Step(slot, tuple(reads), gives, widths, per_state)


def model_port(path: str, port: str) -> str:
    """The name that a slot's port has in the model: what ``aux_pair_stack`` gives is prefixed."""
    return f"aux_{port}" if path == "aux_pair_stack" else port
