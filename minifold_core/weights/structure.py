"""Both sides of a migration: the parts of a model and the shapes of its tensors, without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from minifold_core.assembly import wire
from minifold_core.catalogue import natural
from minifold_core.discovery import find_versions
from minifold_core.errors import MinifoldError, RequestError
from minifold_core.manifest import read_manifest
from minifold_core.recipe import Recipe, Slot, load_recipe, recipe_from_tables
from minifold_core.recipe_tree import Leaf, Meta, flatten
from minifold_core.slots import SLOTS
from minifold_core.weights.file import WeightsFile
from minifold_core.weights.layout import Shape

MOST = 3
"""Changed settings that are told in a sentence."""


@dataclass(frozen=True)
class Part:
    """What fills a slot: a component, its version, its settings, the widths that it is fed."""

    name: str
    version: int
    values: Mapping[str, Any]
    widths: Mapping[str, int]

    @classmethod
    def of(cls, slot: Slot, widths: Mapping[str, int]) -> Part:
        """The part that a recipe puts into a slot."""
        return cls(slot.spec.name, slot.spec.version, slot.config.model_dump(mode="json"), widths)

    def changes(self, other: Part) -> list[str]:
        """The settings in which ``other`` differs, as ``"key old → new"``."""
        pairs = [(key, self.values.get(key), other.values.get(key)) for key in other.values]
        pairs += [(f"width of {k}", self.widths.get(k, v), v) for k, v in other.widths.items()]
        return [f"{key} {old} → {new}" for key, old, new in pairs if old != new]

    def in_short(self, other: Part) -> str:
        """The first of :meth:`changes` and how many more there are; empty if there are none."""
        every = self.changes(other)
        more = f" and {len(every) - MOST} more" if len(every) > MOST else ""
        return ", ".join(every[:MOST]) + more


@dataclass(frozen=True)
class Structure:
    """A model's parts and tensors.

    Attributes:
        label: for people: ``"v13 (full)"`` or a file's name.
        tensors: name to shape.
        parts: slot path to part; None for a file without a recipe.
        id: the recipe's id.
        size: the recipe's size.
        lineage: ids from the root ancestor to the recipe itself.
        native: slots that are as the recipe's version has them, not changed by flags or files.
        scale: the recipe's ``coordinates.scale``.
        built: whether torch had to be imported to know the tensors.
    """

    label: str
    tensors: Mapping[str, Shape]
    parts: Mapping[str, Part] | None = None
    id: str = ""
    size: str = ""
    lineage: tuple[str, ...] = ()
    native: frozenset[str] = frozenset()
    scale: str = ""
    built: bool = field(default=False, compare=False)

    @cached_property
    def slots(self) -> dict[str, dict[str, Shape]]:
        """Slot path to its tensors by their names in it; under ``""``, those of no slot."""
        known = self.parts
        table: dict[str, dict[str, Shape]] = {slot: {} for slot in known or ()}
        for name, shape in self.tensors.items():
            slot = slot_of(name)
            if known is not None and slot not in known:
                slot = ""
            table.setdefault(slot, {})[name.removeprefix(f"{slot}.") if slot else name] = shape
        return table

    @classmethod
    def of_recipe(cls, recipe: Recipe) -> Structure:
        """What a recipe builds: from its version's manifest, or else on the meta device.

        Raises:
            RequestError: its parts do not fit.
        """
        parts, own = parts_of(recipe), _version_parts(recipe.lineage, recipe.size)
        tensors = _manifest(versions_of(recipe.lineage)[-1], recipe.size) if parts == own else {}
        return cls(
            label=f"{recipe.id} ({recipe.size})",
            tensors=tensors or _build(recipe),
            parts=parts,
            id=recipe.id,
            size=recipe.size,
            lineage=recipe.lineage,
            native=_common(parts, own),
            scale=recipe.coordinates.scale,
            built=not tensors,
        )

    @classmethod
    def of_file(cls, file: WeightsFile) -> Structure:
        """What a file holds, and what its recipe says of the parts.

        A file without a recipe is known by its tensors if an installed version has the same.

        Raises:
            RequestError: its recipe is damaged.
        """
        tensors = {name: info.shape for name, info in file.tensors.items()}
        if file.header is None:
            return _recognised(tensors, file.path.name) or cls(file.path.name, tensors)
        recipe, made_by = file.header.recipe, file.header.components
        try:
            known = recipe_from_tables(recipe, str(file.path))
            parts = {
                path: replace(part, version=_version(made_by.get(path, "")))
                for path, part in parts_of(known).items()
            }
        except MinifoldError:  # a part that is not installed here is still known by its name
            parts = _stated_parts(recipe, made_by)
        meta = Meta.of(recipe, str(file.path))
        if meta is None:
            raise RequestError(f"{file.path}: its recipe has no table [resolved]")
        return cls(
            label=f"{file.path.name} ({meta.id}, {meta.size})",
            tensors=tensors,
            parts=parts,
            id=meta.id,
            size=meta.size,
            lineage=meta.lineage,
            native=_common(parts, _version_parts(meta.lineage, meta.size)),
            scale=str(flatten(recipe, "").get("coordinates.scale", Leaf("", "")).value),
        )


def slot_of(name: str) -> str:
    """The slot that a tensor's name begins with; empty if it is none."""
    first, *rest = name.split(".")
    if first in SLOTS:
        return first
    return f"heads.{rest[0]}" if first == "heads" and rest else ""


def parts_of(recipe: Recipe) -> dict[str, Part]:
    """Slot path to part, in the order of computation.

    Raises:
        RequestError: the parts do not fit.
    """
    return {step.slot.path: Part.of(step.slot, step.widths) for step in wire(recipe).steps}


def versions_of(lineage: Iterable[str]) -> tuple[str, ...]:
    """The installed versions among a recipe's ancestors and itself, the oldest first."""
    return tuple(name for name in lineage if name in find_versions().items)


def _version_parts(lineage: tuple[str, ...], size: str) -> dict[str, Part]:
    """The parts of the nearest installed version, empty if there is none of that size."""
    try:
        return parts_of(load_recipe(versions_of(lineage)[-1], size))
    except (IndexError, RequestError):
        return {}


def _recognised(tensors: Mapping[str, Shape], name: str) -> Structure | None:
    """The structure of the version that has just these tensors, the latest if there are several."""
    same = [
        (version, size)
        for version, package in sorted(find_versions().items.items(), key=lambda i: natural(i[0]))
        for size in read_manifest(package.directory).get("sizes", {})
        if _manifest(version, size) == tensors
    ]
    if not same:
        return None
    version, size = same[-1]
    made = " or ".join(version for version, _ in same)
    known = Structure.of_recipe(load_recipe(version, size))
    return replace(known, label=f"{name} (the tensors of {made}, {size})", id=made)


def _manifest(version: str, size: str) -> dict[str, Shape]:
    table = read_manifest(find_versions().items[version].directory).get("sizes", {}).get(size, {})
    return {name: tuple(shape) for name, shape in table.get("tensors", {}).items()}


def _build(recipe: Recipe) -> dict[str, Shape]:
    import torch

    from minifold_core.assembly import assemble

    with torch.device("meta"):
        model = assemble(recipe)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _common(parts: Mapping[str, Part], own: Mapping[str, Part]) -> frozenset[str]:
    return frozenset(path for path, part in parts.items() if own.get(path) == part)


def _version(made_by: str) -> int:
    """The version in ``"name/version"``."""
    version = made_by.rpartition("/")[2]
    return int(version) if version.isdecimal() else 1


def _stated_parts(recipe: Mapping[str, Any], made_by: Mapping[str, str]) -> dict[str, Part]:
    """The parts as a header states them, unchecked; what they are fed is not known."""
    values: dict[str, dict[str, Any]] = {path: {} for path in made_by if slot_of(path) == path}
    for key, leaf in flatten(recipe, "").items():
        path = slot_of(key)
        name = key.removeprefix(f"{path}.")
        if path in values and name not in ("component", "frozen", "init_from"):
            values[path][name] = leaf.value
    return {
        path: Part(made_by[path].rpartition("/")[0], _version(made_by[path]), table, {})
        for path, table in values.items()
    }
