"""What a plugin offers: components, described without importing their implementation."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any, ClassVar, Literal, cast, get_args

from pydantic import BaseModel, ConfigDict

from minifold_core.errors import MinifoldError, did_you_mean
from minifold_core.ports import Port
from minifold_core.slots import SLOTS

Kind = Literal["encoder", "pair_stack", "denoiser", "head", "loss", "metric", "process"]
KINDS: tuple[Kind, ...] = get_args(Kind)

SLOT_KINDS: dict[str, Kind] = {
    slot: "pair_stack" if slot == "aux_pair_stack" else cast(Kind, slot) for slot in SLOTS
}
"""The kind of component that fills each fixed slot."""


def slot_kind(path: str) -> Kind:
    """The kind of component that a slot path, ``process`` or ``metrics.NAME`` takes."""
    if path.startswith("metrics."):
        return "metric"
    return "process" if path == "process" else SLOT_KINDS.get(path, "head")


@dataclass(frozen=True)
class LossFacts:
    """What people need to read a loss's value; the loss's own page is made from it.

    Attributes:
        formula: in plain text, with the constants that matter.
        unit: of the value.
        floor: what predictions score that know nothing, and where that is measured or said.
        target: the value at which the loss is met.
    """

    formula: str
    unit: str
    floor: str = ""
    target: str = ""


class ComponentConfig(BaseModel):
    """Base of every component's config: frozen, and a key it does not know is an error.

    Configs live in modules that import no torch, so that recipes can be checked, shown and
    compared in milliseconds. A loss may say in ``facts`` how its value is to be read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    facts: ClassVar[LossFacts | None] = None

    def needs(self) -> tuple[Port, ...]:
        """The ports that the component reads; ``forward`` receives them as keywords."""
        return ()

    def gives(self) -> tuple[Port, ...]:
        """The ports that the component returns."""
        return ()


@dataclass(frozen=True)
class ComponentSpec:
    """One component on offer.

    Attributes:
        kind: which interface it implements.
        name: the name that recipes use, unique within its kind.
        config: ``"package.module:Class"`` of its :class:`ComponentConfig`; imports no torch.
        implementation: ``"package.module:Class"`` of the component, imported at assembly only.
        summary: one line for listings.
        version: raised when the meaning or shape of its weights changes.
        sizes: config values of named sizes such as ``nano``, used wherever the component is put
            into a recipe of that size; the recipe's own ``[sizes]`` stand above them.
    """

    kind: Kind
    name: str
    config: str
    implementation: str
    summary: str
    version: int = 1
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"component '{self.name}' has unknown kind '{self.kind}'")

    def config_class(self) -> type[ComponentConfig]:
        """Import and return the config class."""
        return load(self.config)

    def implementation_class(self) -> Any:
        """Import and return the implementation (this may import torch)."""
        return load(self.implementation)


def load(path: str) -> Any:
    """The object that ``"package.module:Name"`` names.

    Raises:
        MinifoldError: it cannot be imported, whatever the reason.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (Exception, SystemExit) as error:  # a stranger's module may do anything on import
        why = f"{type(error).__name__}: {error}{_nearest(module, name)}"
        raise MinifoldError(f"'{path}' cannot be imported ({why}); mend or uninstall it") from error


def _nearest(module: str, name: str) -> str:
    """A half-sentence with the name that was perhaps meant; empty if there is nothing to say."""
    package, _, last = module.rpartition(".")
    try:
        if found := sys.modules.get(module):
            own = [n for n, value in vars(found).items() if _made_in(value, module)]
            return "" if name in vars(found) else f"; {did_you_mean(name, own)}"
        places = find_spec(package) if package else None
        beside = [m.name for m in iter_modules(places.submodule_search_locations)] if places else []
        return "" if last in beside or not beside else f"; {did_you_mean(last, beside)}"
    except Exception:  # what cannot be imported may not let itself be looked at either
        return ""


def _made_in(value: Any, module: str) -> bool:
    return getattr(value, "__module__", None) == module
