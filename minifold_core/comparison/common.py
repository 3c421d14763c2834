"""Which losses and figures mean the same in two recipes, and why the others do not."""

from __future__ import annotations

from dataclasses import dataclass

from minifold_core.placing import place
from minifold_core.ports import NOISE_PORTS, TRUTH_PORTS
from minifold_core.recipe import LossTerm, Recipe, Slot

TOTAL = "total_fixed"
"""The weighted sum of all loss terms, ramps at their end."""
STRUCTURES = "scores of samples"

Labels = tuple[str, str]


@dataclass(frozen=True)
class Common:
    """What two models can be compared by.

    Attributes:
        losses: terms of one definition that either learns and both can be measured by, and the
            total if it means the same.
        figures: whether the recipes have metrics, and the same ones.
        left_out: what cannot be compared, and why.
    """

    losses: tuple[str, ...]
    figures: bool
    left_out: dict[str, str]

    @classmethod
    def of(cls, first: Recipe, other: Recipe, labels: Labels) -> Common:
        """Compare definitions; ``labels`` are what the two are called in reasons."""
        states = _states_differ(first, other, labels)
        names = dict.fromkeys([*first.active_losses, *other.active_losses])
        differing = {name: states or _loss_differs(name, first, other, labels) for name in names}
        left_out = {name: why for name, why in differing.items() if why}
        losses = [name for name in names if name not in left_out]
        if losses and (why := _totals_differ(first, other, bool(left_out))):
            left_out[TOTAL] = why
        elif losses:
            losses.append(TOTAL)
        metrics = dict.fromkeys([*first.metrics, *other.metrics])
        for path in metrics:
            if why := states or _metric_differs(path, first, other, labels):
                left_out[path] = why
        still = [label for label, r in zip(labels, (first, other), strict=True) if not r.process]
        if len(still) == 1:
            left_out[STRUCTURES] = f"{still[0]} does not denoise"
        figures = bool(metrics) and not metrics.keys() & left_out.keys()
        return cls(tuple(losses), figures, left_out)


def measurable(recipe: Recipe) -> dict[str, LossTerm]:
    """The loss terms whose ports the model gives: all that count, and perhaps some of weight 0."""
    placed = place(recipe)
    noised = NOISE_PORTS if recipe.process else ()
    given = {*placed.trunk, *placed.state, *(port.name for port in (*TRUTH_PORTS, *noised))}
    return {
        name: term
        for name, term in recipe.losses.items()
        if all(need.optional or need.name in given for need in term.config.needs())
    }


def _states_differ(first: Recipe, other: Recipe, labels: Labels) -> str:
    """Why the two never see the same of a protein, in the same units; empty if they do."""
    if first.training.masked_residues != other.training.masked_residues:
        return "the shares of residues that are hidden differ"
    if not (first.process and other.process):
        return (
            "" if first.process == other.process else f"only {_who(first.process, labels)} denoises"
        )
    if not _same(first.process, other.process):
        return "the noising processes differ"
    scales = (first.coordinates.scale, other.coordinates.scale)
    if scales[0] != scales[1]:
        units = {"fixed": "10 Å", "rg": "a radius of gyration"}
        one, two = (f"{units[s]} in {label}" for s, label in zip(scales, labels, strict=True))
        return f"the model units differ: {one}, {two}"
    return ""


def _loss_differs(name: str, first: Recipe, other: Recipe, labels: Labels) -> str:
    one, two = (measurable(recipe).get(name) for recipe in (first, other))
    if not (one and two):
        return f"only {_who(one, labels)} has it"
    return definitions_differ(name, first, other)


def definitions_differ(name: str, first: Recipe, other: Recipe) -> str:
    """Why a loss that both recipes have does not mean the same in them; empty if it does."""
    one, two = first.losses[name], other.losses[name]
    if not _same(one, two):
        return _differing_settings(one, two)
    for edges in (need.name for need in one.config.needs() if need.name.endswith("edges")):
        # Values of a loss against edges depend on how many there are and where they lie.
        heads = [_giver(recipe, edges) for recipe in (first, other)]
        if not (heads[0] and heads[1] and _same(heads[0], heads[1])):
            return "the heads whose edges it counts differ"
    return ""


def _metric_differs(path: str, first: Recipe, other: Recipe, labels: Labels) -> str:
    one, two = first.metrics.get(path), other.metrics.get(path)
    if not (one and two):
        return f"only {_who(one, labels)} has it"
    return "" if _same(one, two) else _differing_settings(one, two)


def _totals_differ(first: Recipe, other: Recipe, terms_differ: bool) -> str:
    if terms_differ:
        return "the terms differ"
    names = dict.fromkeys([*first.active_losses, *other.active_losses])
    weights = {
        name: {recipe.losses[name].final_weight for recipe in (first, other)} for name in names
    }
    differing = [name for name, own in weights.items() if len(own) > 1]
    return f"the weights differ: {', '.join(differing)}" if differing else ""


def _same(one: Slot | LossTerm, two: Slot | LossTerm) -> bool:
    specs = [(part.spec.name, part.spec.version) for part in (one, two)]
    return specs[0] == specs[1] and one.config == two.config


def _differing_settings(one: Slot | LossTerm, two: Slot | LossTerm) -> str:
    """What differs between two parts, such as ``frames is rebuilt and predicted``; else empty."""
    if (one.spec.name, one.spec.version) != (two.spec.name, two.spec.version):
        return "the components differ"
    values = [part.config.model_dump(mode="json") for part in (one, two)]
    keys = [key for key in values[0] if values[0][key] != values[1].get(key)]
    return "; ".join(f"{key} is {values[0][key]} and {values[1].get(key)}" for key in keys)


def _giver(recipe: Recipe, port: str) -> Slot | None:
    """The slot that gives a port."""
    for slot in recipe.slots.values():
        if port in (given.name for given in slot.config.gives()):
            return slot
    return None


def _who(has: object, labels: Labels) -> str:
    """The label of the one that has it, where ``has`` is what the first has of it."""
    return labels[0] if has else labels[1]
