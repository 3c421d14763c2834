"""Check a recipe's ports, then build its model. Checking needs no tensors and no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minifold_core.errors import RequestError
from minifold_core.placing import MissingPort, Step, place
from minifold_core.port_advice import refusal, refusal_in_training
from minifold_core.ports import NOISE_PORTS, TRUTH_PORTS, Port
from minifold_core.recipe import Recipe, load_recipe
from minifold_core.recipe_tree import FULL

if TYPE_CHECKING:
    from minifold_core.model import FoldModel

SPREAD = "sigma_data"
"""The setting of noise levels, of denoisers that are scaled by it, and of weights of noise levels:
what they call so has to be one value."""


@dataclass(frozen=True)
class Wiring:
    """A recipe whose ports fit.

    Attributes:
        steps: the slots in the order of computation.
        idle: slots that no active loss can reach; they are built but not trained. What judges
            finished structures has no part in training and is neither idle nor unused.
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
        RequestError: a needed port is missing, has the wrong width, or is given twice; heads need
            each other; or parts do not agree on the spread of the data.
    """
    _check_spread(recipe)
    try:
        placed = place(recipe)
    except MissingPort as missing:
        raise RequestError(refusal(recipe, missing.who, missing.need)) from None
    noise = NOISE_PORTS if recipe.process else ()
    known = placed.trunk | placed.state | {port.name: port for port in noise}
    reached = _check_losses(recipe, known)
    watched = _check_metrics(recipe, known)
    if recipe.coordinates.scale == "rg":
        way_out = "--set coordinates.scale=fixed"
        if "log_rg" not in placed.trunk:
            need = Port("log_rg", "B")
            raise RequestError(refusal(recipe, "coordinates.scale = rg", need, way_out))
        if "log_rg" not in reached:
            raise RequestError(
                "coordinates.scale = rg needs port 'log_rg' to be learnt, and no active loss reads "
                f"it. Use --set losses.rg.weight=0.5, or {way_out}"
            )
    return _wiring(placed.steps, reached, watched)


def _check_spread(recipe: Recipe) -> None:
    """Refuse parts and losses that are told different ``sigma_data``."""
    configs = {path: slot.config for path, slot in recipe.parts.items()}
    configs |= {f"losses.{name}": term.config for name, term in recipe.active_losses.items()}
    told = {
        f"{where}.{SPREAD}": getattr(config, SPREAD)
        for where, config in configs.items()
        if hasattr(config, SPREAD)
    }
    if len(set(told.values())) > 1:
        values = ", ".join(f"{key} = {value:g}" for key, value in told.items())
        raise RequestError(
            f"the spread of the data differs: {values}. Use --set to make them equal"
        )


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
    return refusal_in_training(recipe, who, need, way_out, "need" if others else "needs")


def _check_metrics(recipe: Recipe, given: dict[str, Port]) -> set[str]:
    """Refuse metrics whose ports are missing; return the predicted ports that metrics read."""
    truth = {port.name for port in TRUTH_PORTS}
    watched = set()
    for path, slot in recipe.metrics.items():
        for need in slot.config.needs():
            if need.name in given:
                watched.add(need.name)
            elif need.name not in truth and not need.optional:
                raise RequestError(refusal_in_training(recipe, f"{path} '{slot.spec.name}'", need))
    return watched


def _wiring(steps: list[Step], reached: set[str], watched: set[str]) -> Wiring:
    wiring = Wiring(tuple(steps), (), {})
    busy = wiring.needed_for(reached)
    read = (reached | watched).union(*(step.reads for step in steps if step.slot.path in busy))
    trained = [step for step in steps if not step.finished]
    unused = {
        step.slot.path: missing
        for step in trained
        if (missing := tuple(n for n in step.gives.values() if n not in read))
    }
    idle = tuple(step.slot.path for step in trained if step.slot.path not in busy)
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
