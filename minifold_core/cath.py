"""CATH's class and architecture labels, and their numbers in a model's output."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Level = Literal["class", "architecture"]

CLASSES = {
    "1": "mainly alpha",
    "2": "mainly beta",
    "3": "alpha beta",
    "4": "few secondary structures",
}
ARCHITECTURES = {
    "1.10": "orthogonal bundle",
    "1.20": "up-down bundle",
    "1.25": "alpha horseshoe",
    "1.40": "alpha solenoid",
    "1.50": "alpha/alpha barrel",
    "2.10": "ribbon",
    "2.20": "single sheet",
    "2.30": "roll",
    "2.40": "beta barrel",
    "2.50": "clam",
    "2.60": "sandwich",
    "2.70": "distorted sandwich",
    "2.80": "trefoil",
    "2.90": "orthogonal prism",
    "2.100": "aligned prism",
    "2.102": "3-layer sandwich",
    "2.110": "4 propeller",
    "2.115": "5 propeller",
    "2.120": "6 propeller",
    "2.130": "7 propeller",
    "2.150": "2 solenoid",
    "2.160": "3 solenoid",
    "2.170": "beta complex",
    "3.10": "roll",
    "3.15": "super roll",
    "3.20": "alpha-beta barrel",
    "3.30": "2-layer sandwich",
    "3.40": "3-layer (aba) sandwich",
    "3.50": "3-layer (bba) sandwich",
    "3.55": "3-layer (bab) sandwich",
    "3.60": "4-layer sandwich",
    "3.65": "alpha-beta prism",
    "3.70": "box",
    "3.75": "5-stranded propeller",
    "3.80": "alpha-beta horseshoe",
    "3.90": "alpha-beta complex",
    "3.100": "ribosomal protein L15, chain K, domain 2",
    "4.10": "irregular",
}
"""Those of CATH 4.2's non-redundant chains, in the order of their numbers."""

NAMES: dict[Level, tuple[str, ...]] = {
    "class": tuple(CLASSES),
    "architecture": tuple(ARCHITECTURES),
}
LEVELS: tuple[Level, ...] = tuple(NAMES)
UNKNOWN = -1


def label(codes: Iterable[str], level: Level) -> int:
    """The index in ``NAMES[level]`` of a chain with CATH ``codes`` such as ``3.40.50``.

    :data:`UNKNOWN` without codes, with a code outside the list, and where domains disagree.
    """
    depth = LEVELS.index(level) + 1
    found = {".".join(code.split(".")[:depth]) for code in codes}
    name = found.pop() if len(found) == 1 else None
    return NAMES[level].index(name) if name in NAMES[level] else UNKNOWN
