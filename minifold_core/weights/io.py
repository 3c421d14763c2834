"""Save and load weights: tensors with the recipe that made them."""

from __future__ import annotations

from collections.abc import Mapping
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
from minifold_core.weights.apply import copy_exactly
from minifold_core.weights.file import WeightsFile, open_weights
from minifold_core.weights.header import Header


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


def load_slot(model: FoldModel, slot: str, path: str | Path) -> tuple[Header, str]:
    """Copy one slot's weights from a run or a weights file into the model.

    Returns:
        The file's header and its SHA-256.

    Raises:
        RequestError: the file is missing or damaged, or has nothing for that slot.
        ProtectedError: its tensors do not fit; the model is unchanged.
    """
    file, header = _open(path)
    _check_component(header, slot, model.recipe.slots[slot], file.path)
    prefix = f"{slot}."
    stored = file.load()
    tensors = {n.removeprefix(prefix): t for n, t in stored.items() if n.startswith(prefix)}
    if not tensors:
        raise RequestError(f"{file.path} has no tensors under '{slot}'")
    size = header.recipe.get("resolved", {}).get("size", model.recipe.size)
    other = f", {slot} of size '{size}' for one of '{model.recipe.size}'"
    what = f"{file.path} ({slot})" if size == model.recipe.size else f"{file.path}{other}"
    copy_exactly(model.part(slot), tensors, what)
    return header, file.sha256


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
