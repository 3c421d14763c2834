"""What each version did to the weights of the version that it came from: ``lineage.toml``.

A version says of every slot, its parent's and its own, whether the parent's weights go in as they
are (``exact``) or what it changed (``changed``). Between any two versions lie steps up and down the
tree of ``extends``, so these few lines answer for all pairs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache

from pydantic import Field, ValidationError

from minifold_core.catalogue import components_of
from minifold_core.discovery import version_package
from minifold_core.errors import MinifoldError
from minifold_core.recipe_schema import Section
from minifold_core.recipe_tree import flatten, read_source
from minifold_core.weights.structure import versions_of

SCHEMA = 1
NAME = "lineage.toml"


class Step(Section):
    """One version's step from its parent.

    Attributes:
        version: the version that took the step.
        parent: where it came from.
        from_epoch: the epoch of the parent's published table whose weights the published run began
            with; None if it began with its own, or if that is not known.
        exact: slots whose weights the step leaves as they are.
        changed: slot to what the step changed in it; its weights are fresh where they do not fit.
    """

    version: str
    parent: str
    from_epoch: int | None = Field(default=None, ge=1)
    exact: tuple[str, ...] = ()
    changed: dict[str, str] = Field(default_factory=dict)

    @property
    def where(self) -> str:
        """The file that says it, for messages."""
        return f"{self.version}/{NAME}"


@cache
def read_step(version: str) -> Step | None:
    """What an installed version says of its step; None if it says nothing.

    Raises:
        MinifoldError: its ``lineage.toml`` cannot be read, or names slots twice or wrongly.
    """
    path = version_package(version).directory / NAME
    if not path.is_file():
        return None
    where = f"{version}/{NAME}"
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        schema = tables.pop("schema", SCHEMA)
        if schema > SCHEMA:
            raise MinifoldError(f"{where} has schema {schema}; update minifold")
        flat = flatten(tables.pop("changed", {}), where)
        changed = {key: leaf.value for key, leaf in flat.items()}
        step = Step.model_validate({"version": version, "changed": changed} | tables)
    except (OSError, ValueError, TypeError, AttributeError, ValidationError) as error:
        raise MinifoldError(f"{where} cannot be read: {str(error).splitlines()[0]}") from None
    _check(step)
    return step


def _check(step: Step) -> None:
    """Refuse claims about another parent, about a slot that is not there, or about one twice."""
    parents = read_source(step.version).lineage[-2:-1]
    if step.parent not in parents:
        raise MinifoldError(
            f"{step.where}: parent = '{step.parent}', but the recipe extends "
            f"{parents[0] if parents else 'nothing'}"
        )
    known = {slot for name in (step.version, step.parent) for slot in components_of(_source(name))}
    named = [*step.exact, *step.changed]
    for slot in named:
        if slot not in known:
            raise MinifoldError(
                f"{step.where}: '{slot}' is a slot of neither {step.parent} nor {step.version}; "
                "take it out"
            )
        if named.count(slot) > 1:
            raise MinifoldError(f"{step.where}: '{slot}' is named twice; keep one")


_source = cache(read_source)


def _component(version: str, slot: str) -> str:
    return components_of(_source(version)).get(slot, "")


class Route(tuple[Step, ...]):
    """The steps between two versions, upwards and downwards alike."""

    @classmethod
    def between(cls, source: Sequence[str], target: Sequence[str]) -> Route:
        """The steps between two recipes, given their ancestors; none if they share no ancestor."""
        a, b = versions_of(source), versions_of(target)
        if not set(a) & set(b):
            return cls()
        apart = sorted({*a} ^ {*b}, key=lambda name: (name not in a, (*a, *b).index(name)))
        return cls(step for name in apart if (step := read_step(name)))

    def exact(self, slot: str) -> bool:
        """Whether every step leaves the slot's weights as they are."""
        return bool(self) and all(slot in step.exact for step in self)

    def why(self, slot: str, replaced: bool) -> str:
        """What the steps say that they changed in a slot; empty if they say nothing.

        Args:
            slot: the slot.
            replaced: only the steps that put another component there.
        """
        said = [step for step in self if slot in step.changed]
        if replaced:
            said = [
                step
                for step in said
                if _component(step.parent, slot) != _component(step.version, slot)
            ]
        return "; ".join(f"{step.version}: {step.changed[slot]}" for step in said)

    def says(self, slot: str) -> str:
        """The files that speak of a slot."""
        return ", ".join(step.where for step in self if slot in (*step.exact, *step.changed))
