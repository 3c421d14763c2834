"""The complete state of a training, in one file: written whole or not at all, and read exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from minifold_core.data.dataset import DEMO
from minifold_core.errors import ProtectedError, RequestError
from minifold_core.files import atomic
from minifold_core.recipe import recipe_from_tables
from minifold_core.runs import RECIPE, STATE_KEY, STATE_SCHEMA, read_run
from minifold_core.training.run import Run
from minifold_core.training.stepper import Stepper
from minifold_core.weights import digest
from minifold_core.weights.file import WeightsFile
from minifold_core.weights.layout import read_layout


@dataclass
class Progress:
    """Where a training stands between two steps.

    Attributes:
        step: optimizer steps taken.
        epoch: the epoch in progress, counted from 1.
        position: steps of it that are done.
        best: the lowest validation total so far.
        best_epoch: its epoch, 0 before the first.
        means: what the epoch's steps have added up so far, as ``Averages.to_json`` gives it.
        seconds: of its steps so far, waiting for data included; validation and writing are not.
    """

    step: int = 0
    epoch: int = 1
    position: int = 0
    best: float | None = None
    best_epoch: int = 0
    means: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0


def save_state(path: Path, stepper: Stepper, progress: Progress, about: dict[str, Any]) -> None:
    """Write weights, moving average, optimizer, scaler, tripwire and progress to ``path``.

    Generators have no state to keep: see :mod:`minifold_core.training.randomness`.

    Args:
        path: it keeps its old content until the new one is complete on disk.
        stepper: between two steps.
        progress: where it stands.
        about: what else a run needs to go on; JSON values.

    Raises:
        MinifoldError: it cannot be written.
    """
    tensors = {f"model.{n}": t for n, t in stepper.model.state_dict().items()}
    tensors |= {f"ema.{n}": t for n, t in stepper.ema.tensors.items()}
    tensors |= _optimizer_tensors(stepper)
    body = {
        "schema": STATE_SCHEMA,
        "progress": asdict(progress),
        "skipped": stepper.skipped,
        "ema_updates": stepper.ema.updates,
        "tripwire": {"low": stepper.tripwire.low, "dead": stepper.tripwire.dead},
        "scaler": stepper.scaler.state_dict(),
        "about": about,
    }
    metadata = {STATE_KEY: json.dumps(body), digest.KEY: digest.BLANK}
    packed = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        save_file(packed, temporary, metadata=metadata)
        digest.stamp(temporary)


def read_about(path: Path) -> dict[str, Any]:
    """What :func:`save_state` was told besides, without reading a tensor.

    Raises:
        RequestError: the file is missing, damaged, or of a newer schema.
    """
    about: dict[str, Any] = _resumable(path)["about"]
    return about


def load_state(path: Path, stepper: Stepper) -> Progress:
    """Put a stepper of the same recipe into the saved state, bit for bit.

    Raises:
        RequestError: the file is missing, damaged, or of a newer schema.
        ProtectedError: it is the state of another model; nothing was changed.
    """
    body = _resumable(path)
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise RequestError(f"state {path} cannot be read: {error}") from None
    own = {f"model.{n}": t for n, t in stepper.model.state_dict().items()}
    own |= {f"ema.{n}": t for n, t in stepper.ema.tensors.items()}
    differ = [n for n, t in own.items() if n not in tensors or tensors[n].shape != t.shape]
    if differ:
        raise ProtectedError(f"state {path} is not of this model: '{differ[0]}' does not fit")
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(tensors[name])
    stepper.optimizer.state.clear()
    _give_moments(stepper, _moments(tensors))
    stepper.skipped = body["skipped"]
    stepper.ema.updates = body["ema_updates"]
    stepper.tripwire.low, stepper.tripwire.dead = body["tripwire"]["low"], body["tripwire"]["dead"]
    stepper.scaler.load_state_dict(body["scaler"])
    progress = Progress(**body["progress"])
    stepper.step = progress.step
    return progress


def instead_of_resuming(directory: Path) -> str:
    """What can be done with a run that cannot go on, in a sentence; empty if it has no weights."""
    last, recipe = Run(directory).last, directory / RECIPE
    if not (last.is_file() and recipe.is_file()):
        return ""
    said = read_run(directory).said
    data, embeddings = said("data"), said("embeddings")
    own = f" --data {quote(data)}" if data not in ("", DEMO) else ""
    own += f" --embeddings {quote(embeddings)}" if embeddings else ""
    return (
        f"A new training can begin from the run's weights: minifold train {quote(str(recipe))}"
        f"{own} --init-from {quote(str(last))}"
    )


def check_state_beside(weights: WeightsFile) -> None:
    """Make sure that the state of the run that wrote a weights file lies beside it.

    Raises:
        RequestError: there is none, or it is damaged or of a newer schema.
        ProtectedError: it is the state of another run.
    """
    _body_beside(weights)


def carry_moments(
    weights: WeightsFile, stepper: Stepper, moves: Mapping[str, str]
) -> tuple[int, int]:
    """Give parameters what the optimizer of another run knew of those that they came from.

    Args:
        weights: that run's; its state lies beside them.
        stepper: of the new model.
        moves: names of tensors here to their names there.

    Returns:
        How many parameters got it, and the step of that run at which it was known.

    Raises:
        RequestError, ProtectedError: see :func:`check_state_beside`.
    """
    step: int = _body_beside(weights)["progress"]["step"]
    stored = _moments(load_file(_state_of(weights)))
    found = {target: stored[source] for target, source in moves.items() if source in stored}
    return _give_moments(stepper, found), step


def _state_of(weights: WeightsFile) -> Path:
    return Run(weights.path.parent).state


def _body_beside(weights: WeightsFile) -> dict[str, Any]:
    """The body of the state of the run that wrote the weights; see :func:`check_state_beside`."""
    path, header = _state_of(weights), weights.header
    if not path.is_file():
        raise RequestError(
            f"{weights.path} has no {path.name} beside it: no optimizer to carry over"
        )
    body = _body(path)
    options = body["about"]["options"]
    written = {"data_digest": options["data_digest"], **options["origin"]}
    recipe = recipe_from_tables(body["about"]["recipe"], str(path)).to_tables()
    if (
        header is None
        or header.step > body["progress"]["step"]
        or any(getattr(header, name) != value for name, value in written.items())
        or header.read_recipe(str(weights.path)).to_tables() != recipe
    ):
        raise ProtectedError(
            f"{path} is not the state of the run that wrote {weights.path}: no optimizer to carry "
            "over"
        )
    return body


def _resumable(path: Path) -> dict[str, Any]:
    """The body of a state to go on from; if there is none, the error says what else can be done."""
    try:
        return _body(path)
    except RequestError as error:
        way_out = instead_of_resuming(path.parent)
        if not way_out:
            raise
        raise RequestError(f"{error}. {way_out}") from None


def _body(path: Path) -> dict[str, Any]:
    metadata = read_layout(path, "state").metadata
    if STATE_KEY not in metadata:
        raise RequestError(f"{path} is no state of a training")
    digest.check(path, metadata.get(digest.KEY, ""))
    body: dict[str, Any] = json.loads(metadata[STATE_KEY])
    if body["schema"] > STATE_SCHEMA:
        raise RequestError(f"{path} has state schema {body['schema']}; update minifold")
    return body


def _names(stepper: Stepper) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in stepper.model.named_parameters()}


def _optimizer_tensors(stepper: Stepper) -> dict[str, Tensor]:
    names = _names(stepper)
    return {
        f"optimizer.{key}.{names[parameter]}": value
        for parameter, values in stepper.optimizer.state.items()
        for key, value in values.items()
    }


def _moments(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """What a state holds of the optimizer: parameter's name to its tensors."""
    moments: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        kind, key, owner = (*name.split(".", 2), "", "")[:3]
        if kind == "optimizer":
            moments.setdefault(owner, {})[key] = tensor
    return moments


def _give_moments(stepper: Stepper, moments: Mapping[str, Mapping[str, Tensor]]) -> int:
    """Put them into the optimizer, for the parameters that train; returns how many got some."""
    given = 0
    for parameter, name in _names(stepper).items():
        if name in moments and parameter.requires_grad:
            stepper.optimizer.state[parameter] = {
                key: tensor.to(parameter.device) for key, tensor in moments[name].items()
            }
            given += 1
    return given
