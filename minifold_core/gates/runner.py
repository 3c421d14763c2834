"""All gates of one version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from minifold_core.console import note
from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.gates.inputs import inputs_of
from minifold_core.gates.kept import Kept
from minifold_core.gates.memory import ONE, SIXTEEN, one_chain_gate, sixteen_chains_gate
from minifold_core.gates.oracle import sampler_gate, score_gate
from minifold_core.gates.overfit import Load, Overfit, Progress
from minifold_core.gates.record import GATES, Finding, GateReport, Outcome
from minifold_core.gates.wiener import linear_gate
from minifold_core.recipe import Recipe


@dataclass(frozen=True)
class Setting:
    """What the gates of all versions share.

    Attributes:
        chains: sixteen, the first of which is the one of g3.
        library: what the floors may know.
        gates: those to run.
        steps_one: of g3's training, and ``steps_sixteen`` of g4's, at most.
        seed: of everything.
        device: where networks run.
        data: where the chains come from, in words.
        progress: shows long work.
        again: the command that goes on after an interruption.
    """

    chains: Sequence[Chain]
    library: Iterable[Chain]
    gates: Sequence[str]
    steps_one: int
    steps_sixteen: int
    seed: int
    device: torch.device
    data: str
    progress: Progress
    again: str


def run_gates(load: Load, directory: Path, setting: Setting) -> GateReport:
    """Run the gates that were asked for, each whatever became of those before it.

    What an earlier call found in the same directory is not asked again if nothing has changed.

    Args:
        load: reads the version's recipe with changed values.
        directory: of the trainings of this version, and of ``gates.json``.
        setting: the rest.

    Raises:
        RequestError: the request cannot be met.
        ProtectedError: the directory holds other trainings; nothing was changed.
    """
    recipe, chains, seed = load({}), setting.chains, setting.seed
    asked = [name for name in GATES if name in setting.gates]
    plans = {} if recipe.process is None else _plans(load, directory, setting, asked)
    inputs = inputs_of(recipe, [*chains, *setting.library], setting.device)
    empty = GateReport(recipe.id, recipe.size, seed, setting.data, inputs, ())
    kept = Kept(directory, empty)
    batch = collate(chains)
    where = (setting.device, setting.progress)
    gates: dict[str, Callable[[], Finding]] = {
        "g0": lambda: score_gate(recipe, batch, seed),
        "g1": lambda: sampler_gate(recipe, batch, seed),
        "g2": lambda: linear_gate(recipe, chains, seed),
        "g3": lambda: one_chain_gate(plans["g3"], *where),
        "g4": lambda: sixteen_chains_gate(plans["g4"], setting.library, *where),
    }
    findings, known = [], []
    for name in asked:
        finding = kept.of(name)
        if finding is not None and (name not in plans or plans[name].is_of(finding.figures)):
            known.append(name)
        else:
            finding = _finding(recipe, name, gates[name])
            kept.add(finding)
        findings.append(finding)
    if known:
        note(f"{recipe.id}: {', '.join(known)} as found before, nothing has changed: {kept.path}")
    return replace(empty, findings=tuple(findings))


def _plans(
    load: Load, directory: Path, setting: Setting, asked: Sequence[str]
) -> dict[str, Overfit]:
    """The trainings of those gates that have one, none of which would touch another's run."""
    trainings = {
        "g3": (setting.chains[:1], setting.steps_one, directory / ONE),
        "g4": (setting.chains, setting.steps_sixteen, directory / SIXTEEN),
    }
    plans = {
        name: Overfit.plan(load, *training, setting.seed, setting.again)
        for name, training in trainings.items()
        if name in asked
    }
    for plan in plans.values():
        plan.check(setting.device)
    return plans


def _finding(recipe: Recipe, name: str, gate: Callable[[], Finding]) -> Finding:
    if name != "g0" and recipe.process is None:
        return Finding(name, "", "does not apply: no denoiser", Outcome.NONE)
    try:
        return gate()
    except (RequestError, ProtectedError):
        raise
    except MinifoldError as error:
        return Finding(name, "", f"could not be run: {error}", Outcome.FAILED)
