"""Recipes, validated: every slot filled, every value checked, every origin known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from minifold_core.components import SLOT_KINDS, ComponentConfig, ComponentSpec, Kind
from minifold_core.discovery import component
from minifold_core.errors import RequestError, did_you_mean, words_of
from minifold_core.recipe_schema import CoordinatesConfig, Ramp, SamplingConfig, TrainingConfig
from minifold_core.recipe_tree import (
    FULL,
    SCHEMA,
    Leaf,
    Meta,
    Source,
    Tree,
    content,
    flatten,
    is_file,
    nest,
    read_source,
)

M = TypeVar("M", bound=BaseModel)

SECTIONS = (
    *SLOT_KINDS,
    *("heads", "losses", "metrics", "process", "training", "sampling", "coordinates"),
)


@dataclass(frozen=True)
class Slot:
    """A filled place of a model.

    Attributes:
        path: where, such as ``denoiser`` or ``heads.rg``.
        spec: the component.
        config: its settings.
        frozen: whether its weights stay as they are.
        init_from: the version from whose shipped weights it starts; empty: fresh ones.
    """

    path: str
    spec: ComponentSpec
    config: ComponentConfig
    frozen: bool = False
    init_from: str = ""

    def table(self) -> dict[str, Any]:
        """The slot as a recipe table, defaults written out."""
        own = {"frozen": self.frozen, "init_from": self.init_from}
        own = {key: value for key, value in own.items() if value}
        return {"component": self.spec.name, **own, **_plain(self.config)}


@dataclass(frozen=True)
class LossTerm:
    """A loss and its weight."""

    name: str
    spec: ComponentSpec
    config: ComponentConfig
    weight: float | Ramp

    def weight_at(self, epoch: int) -> float:
        """The weight in an epoch, counted from 1."""
        return self.weight.at(epoch) if isinstance(self.weight, Ramp) else self.weight

    @property
    def final_weight(self) -> float:
        """The weight when every ramp has ended."""
        return self.weight.end if isinstance(self.weight, Ramp) else self.weight

    @property
    def active(self) -> bool:
        """False for a term whose weight is always zero: it is neither computed nor logged."""
        if isinstance(self.weight, Ramp):
            return self.weight.start > 0 or self.weight.end > 0
        return self.weight > 0

    def table(self) -> dict[str, Any]:
        """The loss as a recipe table, defaults written out."""
        weight = self.weight.model_dump() if isinstance(self.weight, Ramp) else self.weight
        return {"weight": weight, **_plain(self.config)}


@dataclass(frozen=True)
class Recipe:
    """A complete description of a model and its training.

    ``slots`` are the parts with weights; ``process`` is None in a model without a denoiser;
    ``metrics`` are figures of merit that validation computes beside the losses.
    """

    id: str
    size: str
    lineage: tuple[str, ...]
    slots: dict[str, Slot]
    losses: dict[str, LossTerm]
    metrics: dict[str, Slot]
    process: Slot | None
    training: TrainingConfig
    sampling: SamplingConfig
    coordinates: CoordinatesConfig
    tree: Tree

    @cached_property
    def active_losses(self) -> dict[str, LossTerm]:
        """The terms that count."""
        return {name: term for name, term in self.losses.items() if term.active}

    @property
    def parts(self) -> dict[str, Slot]:
        """The slots, and the process if there is one."""
        return self.slots | ({"process": self.process} if self.process else {})

    def to_tables(self) -> dict[str, Any]:
        """The recipe as nested tables with every default written out; it extends nothing."""
        tables: dict[str, Any] = {
            "schema": SCHEMA,
            "resolved": {"id": self.id, "size": self.size, "lineage": list(self.lineage)},
        }
        parts = {path: slot.table() for path, slot in (self.parts | self.metrics).items()}
        parts |= {f"losses.{name}": term.table() for name, term in self.losses.items()}
        tables |= nest(parts)
        tables["training"] = _plain(self.training)
        tables["sampling"] = _plain(self.sampling)
        tables["coordinates"] = _plain(self.coordinates)
        return tables

    def values(self) -> dict[str, tuple[Any, str]]:
        """Dotted key to value and origin, for every value including defaults."""
        flat: dict[str, tuple[Any, str]] = {}
        for key, (value, _) in flatten(self.to_tables(), "").items():
            if key.split(".")[0] in SECTIONS:
                leaf = self.tree.get(key)
                flat[key] = (value, leaf.origin if leaf else f"default of {self._owner(key)}")
        return flat

    def _owner(self, key: str) -> str:
        for path, slot in (self.parts | self.metrics).items():
            if key.startswith(f"{path}."):
                return f"{slot.spec.kind} '{slot.spec.name}'"
        return key.rpartition(".")[0]


def load_recipe(
    name: str | Path,
    size: str = FULL,
    components: Mapping[str, str] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Recipe:
    """Read, merge and validate a recipe.

    Args:
        name: a version's id or the path of a TOML file.
        size: ``full`` or a size that the recipe offers.
        components: slot, or ``process``, to component name (``--with``).
        values: dotted key to value (``--set``).

    Raises:
        RequestError: an unknown name, a misspelt key, a value of the wrong type or out of range.
    """
    places = [*SLOT_KINDS, "heads.NAME", "process"]
    components = components or {}
    for slot in components:
        if slot not in places and not slot.startswith("heads."):
            table, _, name = slot.partition(".")
            way = {
                "losses": f"a loss is switched on by --set losses.{name}.weight=0.1",
                "metrics": f"a metric by --set metrics.{name}.component={components[slot]}",
            }.get(table, did_you_mean(slot, places))
            raise RequestError(f"--with {slot}=…: no such slot; {way}")
    recipe = validate(read_source(name, size, components, values))
    if is_file(name):  # a user's own file: its other sizes may hold misspellings too
        for other in read_source(name).sizes:
            validate(read_source(name, other))
    return recipe


def recipe_from_tables(tables: Mapping[str, Any], origin: str) -> Recipe:
    """A recipe from the tables that :meth:`Recipe.to_tables` wrote, as weights files hold them."""
    meta = Meta.of(tables, origin)
    if meta is None:
        raise RequestError(f"{origin}: its recipe has no table [resolved]")
    tree = flatten(content(tables), origin)
    return validate(Source(meta.id, meta.lineage, tree, (meta.size,), meta.size))


def validate(source: Source) -> Recipe:
    """Check every key and value of a merged recipe."""
    tree = source.tree
    tables = nest(tree)
    for key in tables:
        if key not in SECTIONS:
            raise RequestError(
                f"{_where(tree, key)}: unknown key '{key}'; {did_you_mean(key, SECTIONS)}"
            )
    slots = {
        path: _slot(tree, path, tables[path], kind)
        for path, kind in SLOT_KINDS.items()
        if path in tables
    }
    for name, table in _tables(tree, tables, "heads"):
        slots[f"heads.{name}"] = _slot(tree, f"heads.{name}", table, "head")
    if "training" not in tables:
        raise RequestError(f"recipe '{source.id}' has no [training]; extend a version that has it")
    if ("process" in tables) != ("denoiser" in tables):
        have, lack = ("process", "denoiser")[:: 1 if "process" in tables else -1]
        raise RequestError(f"recipe '{source.id}' has a [{have}] and no [{lack}]; it takes both")
    return Recipe(
        id=source.id,
        size=source.size,
        lineage=source.lineage,
        slots=slots,
        losses={name: _loss(tree, name, table) for name, table in _tables(tree, tables, "losses")},
        metrics={
            f"metrics.{name}": _slot(tree, f"metrics.{name}", table, "metric")
            for name, table in _tables(tree, tables, "metrics")
        },
        process=(
            _slot(tree, "process", tables["process"], "process") if "process" in tables else None
        ),
        training=_section(tree, "training", TrainingConfig, tables["training"]),
        sampling=_section(tree, "sampling", SamplingConfig, tables.get("sampling", {})),
        coordinates=_section(tree, "coordinates", CoordinatesConfig, tables.get("coordinates", {})),
        tree=tree,
    )


_SLOT_KEYS = {"frozen": (bool, "true or false"), "init_from": (str, "the id of a version")}


def _slot(tree: Tree, path: str, table: Any, kind: Kind) -> Slot:
    if not isinstance(table, dict) or not isinstance(table.get("component"), str):
        raise RequestError(f"{_where(tree, path)}: [{path}] names no component")
    table = dict(table)
    own = {"frozen": table.pop("frozen", False), "init_from": table.pop("init_from", "")}
    for key, (kind_of, words) in _SLOT_KEYS.items():
        if not isinstance(own[key], kind_of):
            where = _where(tree, f"{path}.{key}")
            raise RequestError(f"{where}: {path}.{key} must be {words}")
    try:
        spec = component(kind, table.pop("component"))
    except RequestError as error:
        raise RequestError(f"{_where(tree, f'{path}.component')}: [{path}] {error}") from None
    return Slot(path, spec, _section(tree, path, spec.config_class(), table), **own)


def _loss(tree: Tree, name: str, table: Any) -> LossTerm:
    path = f"losses.{name}"
    try:
        spec = component("loss", name)
    except RequestError as error:
        raise RequestError(f"{_where(tree, path)}: {error}") from None
    table = dict(table)
    if "weight" not in table:
        raise RequestError(f"{_where(tree, path)}: [{path}] has no weight")
    weight = table.pop("weight")
    if isinstance(weight, dict):
        weight = _section(tree, f"{path}.weight", Ramp, weight)
    else:
        weight = _number(tree, f"{path}.weight", weight)
    return LossTerm(name, spec, _section(tree, path, spec.config_class(), table), weight)


def _number(tree: Tree, key: str, value: Any) -> float:
    try:
        number = TypeAdapter(float).validate_python(value, strict=True)
    except ValidationError:
        number = -1.0
    if not 0 <= number < math.inf:
        raise RequestError(f"{_where(tree, key)}: {key} = {value!r} must be a number >= 0")
    return number


def validate_section(base: M, path: str, values: Mapping[str, Leaf]) -> M:
    """A section with values of the command line over those that it has.

    Args:
        base: the section as it is.
        path: its name in recipes.
        values: by key, with the option that each was given by.

    Raises:
        RequestError: a value is of the wrong type or out of range.
    """
    tree = {f"{path}.{key}": leaf for key, leaf in values.items()}
    given = {key: leaf.value for key, leaf in values.items()}
    return _section(tree, path, type(base), base.model_dump() | given)


def _section(tree: Tree, path: str, model: type[M], table: Mapping[str, Any]) -> M:
    """Validate one table, turning pydantic's report into one sentence about its first fault."""
    try:
        return model.model_validate(table)
    except ValidationError as report:
        fault = report.errors()[0]
        inner = ".".join(str(part) for part in fault["loc"])
        key = f"{path}.{inner}" if inner else path
        if fault["type"] == "extra_forbidden":
            known = _fields(model, fault["loc"][:-1])
            why = f"unknown key '{key}'; {did_you_mean(str(fault['loc'][-1]), known)}"
        elif fault["type"] in ("model_type", "dict_type"):
            why = f"{key} = {fault['input']!r} must be a table"
        elif fault["type"] == "missing":
            why = f"'{key}' is missing"
        else:
            why = f"{key} = {fault['input']!r}: {words_of(fault)}"
        raise RequestError(f"{_where(tree, key)}: {why}") from None


def _fields(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        annotation = model.model_fields[str(part)].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _where(tree: Tree, key: str) -> str:
    """The origin of a key; where it has none, of what was last said in its table."""
    while key:
        said = [leaf.origin for k, leaf in tree.items() if (k + ".").startswith(key + ".")]
        if said:
            return said[-1]
        key = key.rpartition(".")[0]
    return "recipe"


def _tables(tree: Tree, tables: dict[str, Any], section: str) -> list[tuple[str, dict[str, Any]]]:
    named = tables.get(section, {})
    if not isinstance(named, dict):
        raise RequestError(f"{_where(tree, section)}: '{section}' must be a table")
    for name, table in named.items():
        if not isinstance(table, dict):
            where = _where(tree, f"{section}.{name}")
            raise RequestError(f"{where}: '{section}.{name}' must be a table")
    return list(named.items())


def _plain(model: BaseModel) -> dict[str, Any]:
    return model.model_dump(mode="json", exclude_none=True)
