"""New packages: a component or a version of the user's own, made from ``templates/``.

A template's path says where its text goes: below the kind of package it is for (``common`` and
``component`` are for several, ``partial`` is what others include), with ``PACKAGE`` and ``NAME``
filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from minifold_core.components import Kind

NewKind = Literal["head", "loss", "denoiser", "encoder", "pair_stack", "version"]
TEMPLATES = Path(__file__).parent / "templates"
HOST = "v14"
"""The version into which a new component is put to be trained."""


@dataclass(frozen=True)
class Part:
    """A component of a new package; its module is called like its kind.

    Attributes:
        kind: which interface it implements.
        summary: one line for listings.
        nano: its settings at the size ``nano``.
    """

    kind: Kind
    summary: str
    nano: Mapping[str, int] = field(default_factory=dict)

    def cls(self, stem: str) -> str:
        """The name of its class: ``ContactOrderPairStack``."""
        return stem + camel(self.kind)


PARTS: dict[NewKind, tuple[Part, ...]] = {
    "head": (
        Part("head", "number of residues near each, from residue features", {"hidden": 32}),
        Part("loss", "squared error of the logarithm of that number"),
    ),
    "loss": (Part("loss", "1 - smooth lDDT of the Cα trace"),),
    "denoiser": (
        Part("denoiser", "small equivariant network over pairs", {"layers": 2, "d_model": 32}),
    ),
    "encoder": (Part("encoder", "convolutions along the sequence", {"d_model": 64, "layers": 2}),),
    "pair_stack": (
        Part("pair_stack", "outer sum and relative positions", {"d_pair": 32, "blocks": 2}),
    ),
    "version": (),
}
"""What a package of each kind offers; a head comes with the loss that trains it."""


@dataclass(frozen=True)
class NewPackage:
    """A package to be written.

    Attributes:
        name: of the component and its plugin, or of the version: ``contact_order``.
        kind: what it offers.
        extends: the version that a new version extends; empty for a component.
    """

    name: str
    kind: NewKind
    extends: str = ""

    @property
    def distribution(self) -> str:
        """What pip calls it: ``minifold-contact-order``."""
        return f"minifold-{self.name.replace('_', '-')}"

    @property
    def package(self) -> str:
        """What Python calls it: ``minifold_contact_order``."""
        return f"minifold_{self.name}"

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        if self.kind == "version":
            return f"Version '{self.name}', which extends {self.extends}"
        loss = " and the loss that trains it" if self.kind == "head" else ""
        return f"{self.kind.replace('_', ' ').capitalize()} '{self.name}'{loss}"

    @property
    def train(self) -> str:
        """The arguments of ``minifold`` that train with it, small."""
        if self.kind == "version":
            return f"train {self.name} --size {self._size()}"
        words = f"train {HOST} --size nano"
        if self.kind != "loss":
            slot = f"heads.{self.name}" if self.kind == "head" else self.kind
            words += f" --with {slot}={self.name}"
        if self.kind in ("head", "loss"):
            words += f" --set losses.{self.name}.weight=0.1"
        return words

    def files(self) -> dict[str, str]:
        """The text of every file, by its path in the package's directory."""
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        shelves = {"common", self.kind} | ({"component"} if PARTS[self.kind] else set())
        context, texts = self._context(), {}
        for template in environment.list_templates():
            shelf, _, path = template.partition("/")
            if shelf in shelves:
                place = path.removesuffix(".jinja").replace("PACKAGE", self.package)
                place = place.replace("NAME", self.name).replace("gitignore", ".gitignore")
                texts[place] = environment.get_template(template).render(context)
        return texts

    def _context(self) -> dict[str, Any]:
        """What templates may name."""
        from minifold_core.entry_points import PLUGIN_GROUP, VERSION_GROUP
        from minifold_core.version import PLUGIN_API, __version__

        parts = PARTS[self.kind]
        context = {
            "api": PLUGIN_API,
            "distribution": self.distribution,
            "extends": self.extends,
            "group": PLUGIN_GROUP if parts else VERSION_GROUP,
            "host": HOST,
            "kind": self.kind,
            "minifold": __version__,
            "module": f"{self.package}.plugin" if parts else self.package,
            "name": self.name,
            "package": self.package,
            "parts": parts,
            "stem": camel(self.name).removesuffix(camel(self.kind)) or camel(self.name),
            "title": self.title,
            "train": self.train,
        }
        if not parts:
            context |= {"size": self._size(), "weight_decay": self._weight_decay()}
        return context

    def _size(self) -> str:
        """The size at which a version is tried: ``nano`` where there is one."""
        from minifold_core.recipe_tree import FULL, read_source

        return "nano" if "nano" in read_source(self.extends).sizes else FULL

    def _weight_decay(self) -> float:
        """A weight decay that is not the extended version's."""
        from minifold_core.recipe import load_recipe

        return 2 * load_recipe(self.extends).training.weight_decay or 0.01


def camel(name: str) -> str:
    """``ContactOrder`` for ``contact_order``."""
    return name.title().replace("_", "")
