"""Sampling structures: one loop for every model and process.

Encoder and pair stack depend on neither the noise level nor the noised state, so they run once
per protein (once more for the null condition), never once per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from minifold_core.batch import ProteinBatch
from minifold_core.errors import RequestError
from minifold_core.geometry.size import centred
from minifold_core.interfaces import Features, Generators, Process
from minifold_core.ports import CONFIDENCE_PORT, SAMPLED_PORT


class FoldingModel(Protocol):
    """What the sampler asks of a model; every tensor of its features starts with the batch axis."""

    def trunk(self, batch: ProteinBatch) -> Features:
        """The features that all steps share, from encoder and pair stack."""
        ...

    def denoise(
        self,
        trunk: Features,
        coords_t: Tensor,
        t: Tensor,
        snr: Tensor,
        mask: Tensor,
        coords_prev: Tensor | None,
    ) -> Features:
        """``coords`` [B, L, 3] without noise, perhaps ``rotations``, in model units."""
        ...

    def scale(self, trunk: Features) -> Tensor:
        """[B] ångström per model unit."""
        ...

    def read_out(
        self, trunk: Features, prediction: Features, mask: Tensor, scale: Tensor
    ) -> Features:
        """What heads make of a prediction: ``backbone`` [B, L, 4, 3] and ``sidechain``
        [B, L, 10, 3], perhaps; may be empty.
        """
        ...


@dataclass(frozen=True)
class Trajectory:
    """Every step of K, from the noisiest: Cα in ångström, centred.

    Attributes:
        states: [K, B, L, 3] the noised state that the step began from.
        predictions: [K, B, L, 3] what the model (guided) took that state for.
    """

    states: Tensor
    predictions: Tensor

    def of(self, row: int, length: int) -> Trajectory:
        """The [K, L, 3] trajectory of one sample of ``length`` residues, on the CPU."""
        kept = slice(None), row, slice(length)
        return Trajectory(self.states[kept].clone().cpu(), self.predictions[kept].clone().cpu())


@dataclass(frozen=True)
class Samples:
    """Sampled structures; with several copies, those of one protein are neighbours.

    Attributes:
        coords: [B * copies, L, 3] Cα in ångström, centred, 0 off mask.
        mask: [B * copies, L] True where there is a residue.
        rotations: [B * copies, L, 3, 3] frames of the last step, if the model predicts any.
        backbone: [B * copies, L, 4, 3] N, Cα, C, O in ångström, if the model has a head for them.
        sidechain: [B * copies, L, 10, 3] side-chain atoms in ångström, if the model has a head for
            them and was told the residues.
        trajectory: the steps that led to ``coords``, if they were recorded.
        plddt: [B * copies, L] lDDT of each residue, 0 to 1, as the model expects it, if it has a
            head for that and was told the residues.
    """

    coords: Tensor
    mask: Tensor
    rotations: Tensor | None
    backbone: Tensor | None = None
    sidechain: Tensor | None = None
    trajectory: Trajectory | None = None
    plddt: Tensor | None = None


@torch.inference_mode()
def run_trunk(model: FoldingModel, batch: ProteinBatch, guidance: float) -> list[Features]:
    """What all steps share: one pass for each condition that ``guidance`` calls for.

    The conditions are the batch with its sequences (guidance 1), without them (0), or both.
    """
    conditions = [] if guidance == 0 else [batch]
    if guidance != 1:
        conditions.append(batch.without_condition())
    return [model.trunk(condition) for condition in conditions]


@torch.inference_mode()
def sample(
    model: FoldingModel,
    process: Process,
    batch: ProteinBatch,
    *,
    generators: Generators,
    steps: int = 50,
    eta: float = 0.0,
    guidance: float = 1.0,
    temperature: float = 1.0,
    self_condition: bool = True,
    copies: int = 1,
    trunks: Sequence[Features] | None = None,
    record: bool = False,
    on_step: Callable[[int, int], None] | None = None,
) -> Samples:
    """Draw structures for the sequences of ``batch``.

    Guidance mixes predictions with and without the sequence, ``x̂_0 = u + w (c - u)``, which at
    one x_t is the same as mixing the noise (Ho & Salimans 2022). It presumes that both branches
    answer in the pose of the x_t they share. At w = 1 or w = 0 only one branch runs.

    Args:
        model: in evaluation mode, on the device of ``batch``.
        process: the noising process that the model was trained with.
        batch: sequences; coordinates are not read.
        generators: B * copies sources of randomness, in the order of the samples; CPU ones give
            the same draws on every device.
        steps: denoiser calls per sample.
        eta: share of the DDPM posterior's noise that every step adds, 0 to 1; 1 with as many
            steps as the process has noise levels is DDPM itself.
        guidance: w; 0 ignores the sequence, 1 is the plain conditional model.
        temperature: factor of the noise: of the start, and of what every step adds. At eta 0 no
            step adds any, so it narrows or widens the start alone; either way a temperature
            other than 1 shows the network states that it was not trained on.
        self_condition: hand each step the (guided) prediction of the one before.
        copies: samples per protein.
        trunks: what :func:`run_trunk` returned for this model, batch and guidance, if it ran.
        record: keep the trajectory.
        on_step: called with the number of steps done and to do.

    Raises:
        RequestError: ``eta``, ``temperature``, ``copies`` or ``steps`` out of range.
    """
    if not 0 <= eta <= 1:
        raise RequestError(f"eta is {eta}; choose 0 (deterministic) to 1 (all the noise)")
    if not temperature > 0:
        raise RequestError(f"temperature is {temperature}; choose a positive number, 1 as trained")
    if copies < 1:
        raise RequestError(f"{copies} samples per protein asked for; choose 1 or more")
    times: list[int] = process.trajectory(steps)
    trunks = trunks or run_trunk(model, batch, guidance)
    branches = len(trunks)
    trunk = _stack(trunks, copies)
    mask = batch.mask.repeat_interleave(copies, 0)

    x_t = temperature * process.prior(mask, generators)
    states: list[Tensor] = []
    predictions: list[Tensor] = []
    previous: Tensor | None = None
    rotations: Tensor | None = None
    for done, (t, s) in enumerate(zip(times, [*times[1:], None], strict=True), start=1):
        level = torch.full((branches * len(mask),), t, device=mask.device)
        prediction = model.denoise(
            trunk,
            x_t.repeat(branches, 1, 1),
            level,
            process.snr(level),
            mask.repeat(branches, 1),
            None if previous is None else previous.repeat(branches, 1, 1),
        )
        x0 = _guide(prediction["coords"].to(x_t.dtype).chunk(branches), guidance)
        if record:
            states.append(x_t)
            predictions.append(centred(x0, mask))
        x_t = process.step(x_t, x0, t, s, mask, eta, generators, temperature)
        if "rotations" in prediction:
            rotations = prediction["rotations"][: len(mask)]
        if self_condition:
            previous = x0
        if on_step is not None:
            on_step(done, steps)
    # Heads read the finished structure once, with the first branch's trunk and frames.
    first = {name: value[: len(mask)] for name, value in trunk.items()}
    finished = {"coords": x_t, SAMPLED_PORT.name: x_t}
    if rotations is not None:
        finished["rotations"] = rotations
    scale = model.scale(first)
    read = model.read_out(first, finished, mask, scale)
    backbone, sidechain = (
        read[name] * scale[:, None, None, None] if name in read else None
        for name in ("backbone", "sidechain")
    )
    size = scale[:, None, None]
    trajectory = (
        Trajectory(torch.stack(states) * size, torch.stack(predictions) * size) if record else None
    )
    plddt = read.get(CONFIDENCE_PORT.name)
    if guidance == 0:  # of hidden residues nobody can tell which atoms they have, or what is right
        sidechain = plddt = None
    return Samples(x_t * size, mask, rotations, backbone, sidechain, trajectory, plddt)


def _stack(trunks: Sequence[Features], copies: int) -> Features:
    """One trunk whose batch holds all branches, every protein ``copies`` times."""
    return {
        name: torch.cat([trunk[name] for trunk in trunks]).repeat_interleave(copies, 0)
        for name in trunks[0]
    }


def _guide(branches: Sequence[Tensor], guidance: float) -> Tensor:
    """Combine the branches' predictions; a lone branch is the prediction."""
    if len(branches) == 1:
        return branches[0]
    conditional, null = branches
    return null + guidance * (conditional - null)
