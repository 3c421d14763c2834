"""Save and load weights: tensors with the recipe that made them."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import file_digest
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from minifold_core.assembly import assemble
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.model import FoldModel
from minifold_core.recipe import Recipe, Slot, recipe_from_tables
from minifold_core.weights.header import Header, find_weights, read_header


def components_of(recipe: Recipe) -> dict[str, str]:
    """Slot path, and ``process``, to ``"name/version"``, as headers record it."""
    return {path: _made_by(slot) for path, slot in _parts(recipe).items()}


def _parts(recipe: Recipe) -> dict[str, Slot]:
    return recipe.slots | {"process": recipe.process}


def save_weights(path: str | Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    """Write tensors and header as one safetensors file, atomically.

    Raises:
        MinifoldError: the file cannot be written.
    """
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(packed, temporary, metadata=header.to_metadata())


def load_model(path: str | Path) -> tuple[FoldModel, Header]:
    """Rebuild the model of a run or a weights file, with its weights, in evaluation mode.

    Raises:
        RequestError: the file is missing, damaged or not minifold's, or its recipe no longer fits.
        ProtectedError: tensors and recipe disagree.
    """
    file = find_weights(path)
    header = read_header(file)
    recipe = recipe_from_tables(header.recipe, str(file))
    for name, slot in _parts(recipe).items():
        _check_component(header, name, slot, file)
    model = assemble(recipe)
    copy_exactly(model, _read(file), str(file))
    return model.eval(), header


def load_slot(model: FoldModel, slot: str, path: str | Path) -> tuple[Header, str]:
    """Copy one slot's weights from a run or a weights file into the model.

    Returns:
        The file's header and its SHA-256.

    Raises:
        RequestError: the file is missing or damaged, or has nothing for that slot.
        ProtectedError: its tensors do not fit; the model is unchanged.
    """
    file = find_weights(path)
    header = read_header(file)
    _check_component(header, slot, model.recipe.slots[slot], file)
    prefix = f"{slot}."
    tensors = {n.removeprefix(prefix): t for n, t in _read(file).items() if n.startswith(prefix)}
    if not tensors:
        raise RequestError(f"{file} has no tensors under '{slot}'")
    copy_exactly(model.part(slot), tensors, f"{file} ({slot})")
    with file.open("rb") as content:
        return header, file_digest(content, "sha256").hexdigest()


def copy_exactly(module: torch.nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into a module whose names and shapes must all match; otherwise touch nothing.

    Raises:
        ProtectedError: a tensor is missing, left over or of another shape.
    """
    own = module.state_dict()
    faults = [f"'{name}' is missing" for name in own.keys() - tensors.keys()]
    faults += [f"'{name}' is left over" for name in tensors.keys() - own.keys()]
    faults += [
        f"'{name}' is {list(tensors[name].shape)}, not {list(own[name].shape)}"
        for name in own.keys() & tensors.keys()
        if own[name].shape != tensors[name].shape
    ]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise ProtectedError(
            f"{source} does not fit the model: {sorted(faults)[0]}{more}; nothing was loaded"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])


def _check_component(header: Header, path: str, slot: Slot, file: Path) -> None:
    then, now = header.components.get(path), _made_by(slot)
    if then != now:
        raise ProtectedError(
            f"{file}: {path} was made by component {then}, not by {now}; "
            "install the plugin version that made it, or name the component that fits"
        )


def _made_by(slot: Slot) -> str:
    return f"{slot.spec.name}/{slot.spec.version}"


def _read(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise RequestError(f"weights {file} cannot be read: {error}") from None
