"""What to say where nothing gives a port, or no loss reads one: which parts would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from minifold_core.components import SLOT_KINDS, ComponentConfig, ComponentSpec
from minifold_core.discovery import find_components
from minifold_core.errors import RequestError
from minifold_core.placing import MissingPort, model_port, place
from minifold_core.ports import DATA_PORTS, FINISHED_PORTS, GIVEN_PORTS, NOISE_PORTS, Port
from minifold_core.recipe import Recipe, Slot

if TYPE_CHECKING:
    from minifold_core.assembly import Wiring


def refusal(recipe: Recipe, who: str, need: Port, way_out: str = "", verb: str = "needs") -> str:
    """The sentence that names what is missing, what is there instead, and what would give it.

    Args:
        recipe: in which it is missing.
        who: needs it.
        need: the port.
        way_out: flags with which it is not needed.
        verb: ``need`` where several need it.
    """
    if need.name in {port.name for port in GIVEN_PORTS}:
        return (
            f"{who} {verb} port '{need.name}', the native backbone, and '{recipe.id}' has a "
            "denoiser, which is to find it: the answer would be in the input. Leave out the "
            "denoiser, or what reads the backbone"
        )
    if need in NOISE_PORTS:
        return (
            f"{who} {verb} port '{need.name}', the noise level, and '{recipe.id}' has no process "
            f"that adds noise. Set its noise_weight to 'none'{f', or {way_out}' if way_out else ''}"
        )
    swaps = list(_swaps(recipe, need))
    givers = [(path, name) for path, name, lack in swaps if not lack]
    there = [
        f"{path} '{recipe.slots[path].spec.name}' gives "
        f"{', '.join(model_port(path, p.name) for p in recipe.slots[path].config.gives())}"
        for path in dict.fromkeys(path for path, _ in givers)
        if path in recipe.slots
    ]
    ways = [f"--with {path}={name}" for path, name in givers] + ([way_out] if way_out else [])
    if not givers:
        hints = (
            f"{path} '{name}' gives it where there is port '{lack}'" for path, name, lack in swaps
        )
        there += dict.fromkeys(hints)
    clauses = "; ".join([f"{who} {verb} port '{need.name}'", *there])
    advice = f"Use {', or '.join(ways)}" if ways else "No component that fits here gives it"
    return f"{clauses}. {advice}"


def refusal_in_training(
    recipe: Recipe, who: str, need: Port, way_out: str = "", verb: str = "needs"
) -> str:
    """The same for a loss or metric, to which finished structures are none."""
    if need.name in {port.name for port in FINISHED_PORTS}:
        return (
            f"{who} {verb} port '{need.name}', of a finished structure: there is one in sampling "
            f"alone{f'. Use {way_out}' if way_out else ', for heads to judge'}"
        )
    return refusal(recipe, who, need, way_out, verb)


def losses_for(recipe: Recipe, wiring: Wiring, path: str) -> list[str]:
    """The installed losses that would train a slot, by name: they read what it leads to."""
    there = {port.name for port in DATA_PORTS}
    there |= {port.name for port in NOISE_PORTS} if recipe.process else set()
    there |= {name for step in wiring.steps if not step.finished for name in step.gives.values()}
    found = []
    for spec in _specs(("loss",)):
        config = recipe.losses[spec.name].config if spec.name in recipe.losses else _default(spec)
        needs = [p for p in config.needs() if not p.name.startswith("truth.")] if config else []
        lacking = [port for port in needs if not port.optional and port.name not in there]
        if not lacking and path in wiring.needed_for(port.name for port in needs):
            found.append(spec.name)
    return found


def _swaps(recipe: Recipe, need: Port) -> Iterator[tuple[str, str, str]]:
    """The swaps that give a port: slot path, component, and a port that it lacks, if it does."""
    for spec in _specs(("encoder", "pair_stack", "denoiser", "head")):
        config = _default(spec, recipe.size)
        free = f"heads.{spec.name}"
        free += "2" if free in recipe.slots else ""
        for path in [p for p, kind in SLOT_KINDS.items() if kind == spec.kind] or [free]:
            # A denoiser takes a process too, so it is no swap where there was none.
            if config is None or (path == "denoiser" and path not in recipe.slots):
                continue
            if need.name in {model_port(path, port.name) for port in config.gives()}:
                slots = recipe.slots | {path: Slot(path, spec, config)}
                try:
                    place(replace(recipe, slots=slots))
                except RequestError:
                    continue
                except MissingPort as missing:
                    if missing.path == path:
                        yield path, spec.name, missing.need.name
                else:
                    yield path, spec.name, ""


def _specs(kinds: Iterable[str]) -> list[ComponentSpec]:
    offers = find_components().items.values()
    return [offer.spec for offer in offers if offer.spec.kind in kinds]


def _default(spec: ComponentSpec, size: str = "") -> ComponentConfig | None:
    """What a component is set to where nothing is said; None if it cannot be asked."""
    try:
        config = spec.config_class()(**spec.sizes.get(size, {}))
        config.needs(), config.gives()
    except Exception:  # a stranger's plugin may do anything
        return None
    return config
