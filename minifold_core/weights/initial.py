"""The weights that a model begins with, slot by slot, and what is recorded of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from minifold_core.console import note
from minifold_core.discovery import version_package
from minifold_core.errors import ProtectedError
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe
from minifold_core.weights.apply import apply, shapes_of
from minifold_core.weights.file import WeightsFile
from minifold_core.weights.header import RANDOM, TRAINED
from minifold_core.weights.io import SlotWeights, open_slot
from minifold_core.weights.plan import Plan
from minifold_core.weights.report import Report
from minifold_core.weights.seen import descent
from minifold_core.weights.shipped import shipped_weights


@dataclass
class Start:
    """Where a model's first weights come from.

    Attributes:
        encoder: ``"random"`` if the encoder is frozen without ever having been trained, else
            ``"trained"``.
        parents: slot path to the SHA-256 of the file that filled it.
        migrations: reports of the migrations that led here, the oldest first.
        fresh: slots that a migration left with weights as they were drawn, in part at least.
        sources: slot path to the file that filled it, in words.
        descent: SHA-256 of all that these weights come from; see
            :func:`~minifold_core.weights.seen.descent`.
    """

    encoder: str = TRAINED
    parents: dict[str, str] = field(default_factory=dict)
    migrations: list[dict[str, Any]] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    descent: list[str] = field(default_factory=list)

    def header_fields(self) -> dict[str, Any]:
        """What a header says of it."""
        return {
            "encoder": self.encoder,
            "parents": self.parents,
            "migrations": self.migrations,
            "fresh": self.fresh,
            "descent": self.descent,
        }

    def comes_from(self, file: WeightsFile) -> None:
        """Record a file that filled slots, and all that it comes from itself."""
        self.descent = list(dict.fromkeys([*self.descent, *descent(file.sha256, file.header)]))


@dataclass(frozen=True)
class Migration:
    """A plan that holds, the file it is for, and its report."""

    file: WeightsFile
    plan: Plan
    report: Report
    tensors: dict[str, Tensor]

    @property
    def moves(self) -> dict[str, str]:
        """The model's names of tensors that carry over to those of the file."""
        entries = self.plan.moves
        return {entry.target: entry.source for entry in entries if entry.target and entry.source}


def begin(
    model: FoldModel,
    encoder: SlotWeights | Literal["random"] | None = None,
    migration: Migration | None = None,
) -> Start:
    """Fill a fresh model: by migration, from shipped weights, and the encoder as the user says.

    Slots that no migration carries start from the shipped weights of the version that the recipe
    names (``init_from``), if it names one.

    Args:
        model: with fresh weights.
        encoder: weights for the encoder instead of shipped ones, or ``"random"`` for fresh ones.
        migration: what else carries over.

    Raises:
        RequestError: a version does not exist, or a file is damaged.
        ProtectedError: tensors do not fit or are not finite.
    """
    start = Start()
    if migration:
        apply(migration.plan, migration.tensors, model)
        _record(start, migration)
    carried = migration.plan.carried if migration else ()
    for path, slot in model.recipe.slots.items():
        if path == "encoder" and encoder is not None:
            if encoder != RANDOM:
                _fill(model, encoder, encoder.source, start)
        elif slot.init_from and path not in carried:
            _fill_shipped(model, path, slot.init_from, start)
    reads = model.recipe.slots.get("encoder")
    if reads and reads.frozen and "encoder" not in start.parents:
        start.encoder = RANDOM
    if migration:
        start.fresh = _drawn(migration, start.sources)
    return start


def first_weights(recipe: Recipe) -> dict[str, Path]:
    """Slot paths to the shipped files that :func:`begin` fills them from by default."""
    files = {
        path: _shipped(slot.init_from, recipe.size)
        for path, slot in recipe.slots.items()
        if slot.init_from
    }
    return {path: file for path, file in files.items() if file is not None}


def _record(start: Start, migration: Migration) -> None:
    file, plan = migration.file, migration.plan
    if "encoder" in plan.carried:  # a stranger's encoder counts as trained
        start.encoder = file.header.encoder if file.header else TRAINED
    start.parents |= dict.fromkeys((entry.slot for entry in plan.moves), file.sha256)
    start.comes_from(file)
    this = migration.report.to_json()
    this["source"]["sha256"] = file.sha256
    start.migrations = [*(file.header.migrations if file.header else []), this]


def _drawn(migration: Migration, filled: Collection[str]) -> list[str]:
    """The slots that hold weights as they were drawn, now or in the file that they come from."""
    header = migration.file.header
    before = tuple(f"{slot}." for slot in header.untrained) if header else ()
    slots = [
        entry.slot
        for entry in migration.plan.entries
        if entry.verdict == "fresh" or (entry.target and (entry.source or "").startswith(before))
    ]
    return [slot for slot in dict.fromkeys(slots) if slot not in filled]


def _fill(model: FoldModel, weights: SlotWeights, source: str, start: Start) -> None:
    weights.fill(model)
    start.parents[weights.slot] = weights.file.sha256
    start.comes_from(weights.file)
    start.sources[weights.slot] = source
    if weights.slot == "encoder":
        start.encoder = weights.header.encoder


def _fill_shipped(model: FoldModel, path: str, version: str, start: Start) -> None:
    """Fill a slot by default: what does not fit is said, not refused."""
    size = model.recipe.size
    file = _shipped(version, size)
    if file is None:
        note(f"warning: {version} ships no weights of size '{size}' for {path}")
        return
    own = shapes_of(model.part(path).state_dict())
    try:
        weights = open_slot(model.recipe, path, file, own)
        _fill(model, weights, f"{version} ({size}, shipped)", start)
    except ProtectedError as error:
        note(f"warning: {path} does not start from {version}'s shipped weights: {error}")


def _shipped(version: str, size: str) -> Path | None:
    return shipped_weights(version_package(version)).get(size)
