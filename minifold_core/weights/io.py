"""Save and load weights: tensors with the recipe that made them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.discovery import origin_of
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.model import FoldModel
from minifold_core.plugin_choice import OWN
from minifold_core.recipe import Recipe, Slot
from minifold_core.weights import digest
from minifold_core.weights.apply import copy_exactly, misfit
from minifold_core.weights.file import WeightsFile, open_weights
from minifold_core.weights.header import Header
from minifold_core.weights.layout import Shape
from minifold_core.weights.structure import Structure, parts_of


def components_of(recipe: Recipe) -> dict[str, str]:
    """Slot path, and ``process``, to ``"name/version"``, as headers record it."""
    return {path: _made_by(slot) for path, slot in recipe.parts.items()}


def plugins_of(recipe: Recipe) -> dict[str, str]:
    """Slot path to the distribution that brings its component, where that is not minifold."""
    origins = {path: origin_of(slot.spec) for path, slot in recipe.parts.items()}
    return {path: o.release for path, o in origins.items() if o and o.distribution != OWN}


def save_weights(path: str | Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write tensors, header and the hash of both as one safetensors file, atomically.

    Raises:
        MinifoldError: the file cannot be written.
    """
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(packed, temporary, metadata=header.to_metadata())
        digest.stamp(temporary)


def load_model(path: str | Path) -> tuple[FoldModel, Header]:
    """Rebuild the model of a run or a weights file, with its weights, in evaluation mode.

    Raises:
        RequestError: the file is missing, damaged or not minifold's, or its recipe no longer fits.
        ProtectedError: tensors and recipe disagree, or numbers are not finite.
    """
    file, header = _open(path)
    recipe = header.read_recipe(str(file.path))
    for name, slot in recipe.parts.items():
        _check_component(header, name, slot, file.path)
    model = assemble(recipe)
    copy_exactly(model, file.load(), str(file.path))
    return model.eval(), header


@dataclass(frozen=True)
class SlotWeights:
    """Weights for a slot of a model that they are known to fit; their tensors are not read yet.

    Attributes:
        slot: which slot.
        source: what the user called them.
        file: where they are.
        header: of the file.
    """

    slot: str
    source: str
    file: WeightsFile
    header: Header

    def fill(self, model: FoldModel) -> None:
        """Copy them into a model.

        Raises:
            RequestError: the file is damaged.
            ProtectedError: numbers are not finite; the model is unchanged.
        """
        prefix = f"{self.slot}."
        stored = self.file.load()
        tensors = {n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)}
        copy_exactly(model.part(self.slot), tensors, f"{self.file.path} ({self.slot})")


def open_slot(recipe: Recipe, slot: str, path: str | Path, own: Mapping[str, Shape]) -> SlotWeights:
    """Weights for a slot of a recipe's model, from a run or a weights file; no tensor is read.

    Args:
        recipe: of the model.
        slot: which of its slots.
        path: the run, the file, or the name of weights.
        own: shapes of the model's tensors by their names in the slot.

    Raises:
        RequestError: the file is missing or damaged, or has nothing for that slot.
        ProtectedError: its tensors do not fit the slot.
    """
    file, header = _open(path)
    _check_component(header, slot, recipe.slots[slot], file.path)
    source = Structure.of_file(file)
    given = source.slots.get(slot)
    if not given:
        raise RequestError(f"{file.path} has no tensors under '{slot}'")
    if fault := misfit(own, given):
        was, now = (source.parts or {})[slot], parts_of(recipe)[slot]
        raise ProtectedError(
            f"{slot} of {source.label} does not fit that of {recipe.id} ({recipe.size}): "
            f"{was.in_short(now) or fault}"
        )
    return SlotWeights(slot, str(path), file, header)


def _open(path: str | Path) -> tuple[WeightsFile, Header]:
    """A file that minifold wrote, and its header."""
    file = open_weights(path)
    if file.header is None:
        raise RequestError(
            f"{file.path} holds no weights written by minifold: its header has no recipe"
        )
    return file, file.header


def _check_component(header: Header, path: str, slot: Slot, file: Path) -> None:
    then, now = header.components.get(path), _made_by(slot)
    if then != now:
        raise ProtectedError(
            f"{file}: {path} was made by component {then}, not by {now}; minifold migrate carries "
            "what fits, or install the plugin version that made it"
        )


def _made_by(slot: Slot) -> str:
    return f"{slot.spec.name}/{slot.spec.version}"
