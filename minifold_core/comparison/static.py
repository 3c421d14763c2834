"""What can be said of models without running them: from recipes, manifests, cards and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from minifold_core.comparison.bests import Bests, bests_of
from minifold_core.comparison.carried import Carried, carry
from minifold_core.comparison.facts import Facts, facts_of
from minifold_core.comparison.milestones import Milestone, milestones
from minifold_core.comparison.parts import Part, compare_parts, count
from minifold_core.comparison.published import Published, published_of
from minifold_core.comparison.sides import Side
from minifold_core.comparison.sources import Source, sources_of
from minifold_core.comparison.story import Story, stories
from minifold_core.comparison.values import Loss, Row, compare_losses, compare_values
from minifold_core.weights.structure import Structure


@dataclass(frozen=True)
class StaticComparison:
    """Two or more sides, part by part and value by value.

    Attributes:
        sides: each by itself.
        stories: how each comes from the one before it.
        parts: slots and process.
        values: what differs in the recipes beside components and weights of losses.
        losses: the weights of all losses.
        migration: what weights carry from each side to the next.
        bests: the best total of each side, and which cannot be compared.
        published: the record of every version that a side belongs to.
        milestones: when one published training passed the best of another.
        sources: every file that this was read from.
    """

    sides: tuple[Facts, ...]
    stories: tuple[Story, ...]
    parts: tuple[Part, ...]
    values: tuple[Row, ...]
    losses: tuple[Loss, ...]
    migration: tuple[Carried, ...]
    bests: Bests
    published: tuple[Published, ...]
    milestones: tuple[Milestone, ...]
    sources: tuple[Source, ...] = ()

    @classmethod
    def of(cls, sides: Sequence[Side]) -> StaticComparison:
        """Compare sides; imports torch only where a model has to be built to be counted.

        Raises:
            RequestError: the parts of a recipe do not fit.
        """
        structures = [Structure.of_recipe(side.recipe) for side in sides]
        counts = [count(side.recipe, own) for side, own in zip(sides, structures, strict=True)]
        published = published_of(sides)
        made = cls(
            sides=tuple(map(facts_of, sides, counts, structures)),
            stories=stories(sides),
            parts=compare_parts(sides, counts),
            values=compare_values(sides),
            losses=compare_losses(sides),
            migration=carry(sides, structures),
            bests=bests_of(sides, published),
            published=published,
            milestones=milestones(published),
        )
        return replace(made, sources=sources_of(sides, made.to_dict()))

    @property
    def equal(self) -> bool:
        """Whether all sides have the same recipe."""
        rows: tuple[Part | Loss, ...] = (*self.parts, *self.losses)
        return not self.values and all(row.equal for row in rows)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``: every figure with the file or the origin that it was read from."""
        parts = {
            name: [asdict(each) for each in getattr(self, name)]
            for name in ("sides", "stories", "parts", "values", "losses", "migration")
        }
        records = {
            name: [each.to_dict() for each in getattr(self, name)]
            for name in ("published", "milestones")
        }
        read = {"bests": asdict(self.bests), "sources": [asdict(each) for each in self.sources]}
        return {"equal": self.equal, **parts, **records, **read}
