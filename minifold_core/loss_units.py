"""What losses are measured in, as their facts say it. Imports no torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from minifold_core.discovery import find_components

LENGTHS = {
    "fixed": {"model units": "in 10 Å", "squared model units": "in 100 Å²"},
    "rg": {"model units": "in Rg", "squared model units": "in Rg²"},
}
"""What a model unit is, by the recipe's ``coordinates.scale``."""


def units_of(losses: Iterable[str], scales: Collection[str]) -> dict[str, str]:
    """Loss to its unit, model units written out where all models have the same scale."""
    lengths = LENGTHS.get(next(iter(scales)), {}) if len(scales) == 1 else {}
    units = {"total": "weighted sum", "total_fixed": "weighted sum"}
    offers = find_components().items
    for name in losses:
        offer = offers.get(f"loss/{name}")
        facts = offer.spec.config_class().facts if offer else None
        unit = facts.unit.partition(":")[0].partition(";")[0] if facts else ""
        units.setdefault(name, "" if unit == "none" else lengths.get(unit, unit))
    return units
