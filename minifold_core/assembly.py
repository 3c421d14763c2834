"""Check a recipe's ports, then build its model. Checking needs no tensors and no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.components import SLOT_KINDS, Kind
from minifold_core.discovery import find_components
from minifold_core.errors import RequestError
from minifold_core.head_order import in_order
from minifold_core.ports import (
    DATA_PORTS,
    GIVEN_PORTS,
    READ_OUT_PORTS,
    STATE_PORTS,
    TRUTH_PORTS,
    Port,
)
from minifold_core.recipe import Recipe, Slot, load_recipe
from minifold_core.recipe_tree import FULL

if TYPE_CHECKING:
    from minifold_core.model import FoldModel


@dataclass(frozen=True)
class Step:
    """One slot in the order of computation.

    Attributes:
        slot: what fills it.
        reads: the ports it receives; those that nobody gives are optional and will be None.
        gives: the component's own port name to the name under which the model knows it.
        widths: port name to the size of its last axis, for the component's constructor.
        per_state: False for what depends on the sequence alone and is computed once per protein.
    """

    slot: Slot
    reads: tuple[str, ...]
    gives: dict[str, str]
    widths: dict[str, int]
    per_state: bool


@dataclass(frozen=True)
class Wiring:
    """A recipe whose ports fit.

    Attributes:
        steps: the slots in the order of computation.
        idle: slots that no active loss can reach; they are built but not trained.
        unused: ports that are given but that no active loss, metric or trained slot reads, by slot.
    """

    steps: tuple[Step, ...]
    idle: tuple[str, ...]
    unused: dict[str, tuple[str, ...]]

    def needed_for(self, ports: Iterable[str]) -> set[str]:
        """Slots that must be computed to obtain ``ports``."""
        wanted, slots = set(ports), set()
        for step in reversed(self.steps):
            if wanted.intersection(step.gives.values()):
                slots.add(step.slot.path)
                wanted.update(step.reads)
        return slots


def assemble(
    name: str | Path | Recipe,
    size: str = FULL,
    components: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> FoldModel:
    """Build a model with fresh weights.

    Args:
        name: a version's id, a recipe file, or a loaded recipe (which already has its size).
        size: ``full`` or a size that the recipe offers.
        components: slot to component name, as ``--with``.
        values: dotted key to value, as ``--set``.

    Raises:
        RequestError: the recipe is wrong, or its parts do not fit; one sentence says why.
    """
    recipe = name if isinstance(name, Recipe) else load_recipe(name, size, components, values)
    wiring = wire(recipe)
    from minifold_core.model import FoldModel

    return FoldModel(recipe, wiring)


def wire(recipe: Recipe) -> Wiring:
    """Check that every port that is needed is given, and order the computation.

    Raises:
        RequestError: a needed port is missing, has the wrong width, or is given twice; or heads
            need each other.
    """
    given = () if "denoiser" in recipe.slots else GIVEN_PORTS
    trunk = {port.name: port for port in (*DATA_PORTS, *given)}
    state: dict[str, Port] = {}
    noised = {port.name: port for port in STATE_PORTS}
    finished = {port.name: port for port in READ_OUT_PORTS}
    steps: list[Step] = []
    for path in (p for p in SLOT_KINDS if p in recipe.slots):
        if path == "denoiser":
            steps.append(_step(recipe, recipe.slots[path], trunk | noised, state, True))
        else:
            steps.append(_step(recipe, recipe.slots[path], trunk, trunk, False))
    for slot in in_order([s for path, s in recipe.slots.items() if path.startswith("heads.")]):
        needs = [p for p in slot.config.needs() if not p.optional]
        per_state = any(p.name not in trunk for p in needs)
        if per_state:
            steps.append(_step(recipe, slot, trunk | state | finished, state, True))
        else:
            steps.append(_step(recipe, slot, trunk, trunk, False, taken=state))
    reached = _check_losses(recipe, trunk | state)
    watched = _check_metrics(recipe, trunk | state)
    if recipe.coordinates.scale == "rg":
        way_out = "--set coordinates.scale=fixed"
        if "log_rg" not in trunk:
            need = Port("log_rg", "B")
            raise RequestError(_refusal(recipe, "coordinates.scale = rg", need, way_out))
        if "log_rg" not in reached:
            raise RequestError(
                "coordinates.scale = rg needs port 'log_rg' to be learnt, and no active loss reads "
                f"it. Use --set losses.rg.weight=0.5, or {way_out}"
            )
    return _wiring(steps, reached, watched)


def _step(
    recipe: Recipe,
    slot: Slot,
    there: dict[str, Port],
    into: dict[str, Port],
    per_state: bool,
    taken: Collection[str] = (),
) -> Step:
    """Match one slot's needs with the ports that are ``there``; add what it gives to ``into``.

    ``taken`` are names that it cannot read, but that somebody gives already.
    """
    reads, widths = [], {}
    for need in slot.config.needs():
        reads.append(need.name)
        given = there.get(need.name)
        if given is None:
            if not need.optional:
                raise RequestError(_refusal(recipe, f"{slot.path} '{slot.spec.name}'", need))
            continue
        if need.width is not None and given.width not in (None, need.width):
            raise RequestError(
                f"{slot.path} '{slot.spec.name}' needs port '{need.name}' {need.width} wide; "
                f"it is given {given.width} wide"
            )
        if given.width is not None:
            widths[need.name] = given.width
    gives = {}
    for port in slot.config.gives():
        name = model_port(slot.path, port.name)
        if name in there or name in taken:
            raise RequestError(
                f"port '{name}' is given twice; the second time by {slot.path} '{slot.spec.name}'"
            )
        gives[port.name] = name
        into[name] = port
    return Step(slot, tuple(reads), gives, widths, per_state)


def _check_losses(recipe: Recipe, given: dict[str, Port]) -> set[str]:
    """Refuse losses whose ports are missing; return the predicted ports that active losses read."""
    truth = {port.name for port in TRUTH_PORTS}
    reached = set()
    lacking: dict[Port, list[str]] = {}
    for name, term in recipe.active_losses.items():
        for need in term.config.needs():
            if need.name in given:
                reached.add(need.name)
            elif need.name not in truth and not need.optional:
                lacking.setdefault(need, []).append(name)
    if lacking:
        raise RequestError(
            "\n".join(_lacking(recipe, names, need) for need, names in lacking.items())
        )
    return reached


def _lacking(recipe: Recipe, losses: list[str], need: Port) -> str:
    """The refusal of all losses that need one port."""
    way_out = " ".join(f"--set losses.{name}.weight=0" for name in losses)
    *others, last = losses
    who = f"{', '.join(others)} and {last}" if others else last
    return _refusal(recipe, who, need, way_out, "need" if others else "needs")


def _check_metrics(recipe: Recipe, given: dict[str, Port]) -> set[str]:
    """Refuse metrics whose ports are missing; return the predicted ports that metrics read."""
    truth = {port.name for port in TRUTH_PORTS}
    watched = set()
    for path, slot in recipe.metrics.items():
        for need in slot.config.needs():
            if need.name in given:
                watched.add(need.name)
            elif need.name not in truth and not need.optional:
                raise RequestError(_refusal(recipe, f"{path} '{slot.spec.name}'", need))
    return watched


def _wiring(steps: list[Step], reached: set[str], watched: set[str]) -> Wiring:
    wiring = Wiring(tuple(steps), (), {})
    busy = wiring.needed_for(reached)
    read = (reached | watched).union(*(step.reads for step in steps if step.slot.path in busy))
    unused = {
        step.slot.path: missing
        for step in steps
        if (missing := tuple(n for n in step.gives.values() if n not in read))
    }
    idle = tuple(step.slot.path for step in steps if step.slot.path not in busy)
    return Wiring(tuple(steps), idle, unused)


def embedding_ports(recipe: Recipe) -> dict[str, Port]:
    """Slot path to the port of precomputed embeddings, for the slots that read it."""
    return {
        path: port
        for path, slot in recipe.slots.items()
        for port in slot.config.needs()
        if port.name == "embeddings"
    }


def embedding_width(recipe: Recipe) -> int | None:
    """Features of a residue in the embeddings that a model reads; None if it reads none."""
    return next((port.width for port in embedding_ports(recipe).values()), None)


def model_port(path: str, port: str) -> str:
    """The name that a slot's port has in the model: what ``aux_pair_stack`` gives is prefixed."""
    return f"aux_{port}" if path == "aux_pair_stack" else port


def _refusal(recipe: Recipe, who: str, need: Port, way_out: str = "", verb: str = "needs") -> str:
    """The sentence that names what is missing, what is there instead, and what would give it."""
    if need.name in {port.name for port in GIVEN_PORTS}:
        return (
            f"{who} {verb} port '{need.name}', the native backbone, and '{recipe.id}' has a "
            "denoiser, which is to find it: the answer would be in the input. Leave out the "
            "denoiser, or what reads the backbone"
        )
    givers: dict[tuple[str, Kind], list[str]] = {}
    for offer in find_components().items.values():
        spec = offer.spec
        if spec.kind in ("loss", "metric", "process"):
            continue
        paths = [p for p, kind in SLOT_KINDS.items() if kind == spec.kind] or ["heads.NAME"]
        for path in paths:
            try:
                ports = spec.config_class()().gives()
            except Exception:  # a plugin that cannot be asked cannot be suggested
                continue
            if need.name in {model_port(path, port.name) for port in ports}:
                givers.setdefault((path, spec.kind), []).append(f"'{spec.name}'")
    there = [
        f"{path} '{recipe.slots[path].spec.name}' gives "
        f"{', '.join(model_port(path, p.name) for p in recipe.slots[path].config.gives())}"
        for path, _ in givers
        if path in recipe.slots
    ]
    ways = [f"use {path} {' or '.join(names)}" for (path, _), names in givers.items()]
    ways += [way_out] if way_out else []
    advice = ", or ".join(ways) or "no installed component gives it"
    clauses = "; ".join([f"{who} {verb} port '{need.name}'", *there])
    return f"{clauses}. {advice[0].upper()}{advice[1:]}"
