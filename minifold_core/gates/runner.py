"""All gates of one version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.errors import MinifoldError, ProtectedError, RequestError
from minifold_core.gates.memory import one_chain_gate, sixteen_chains_gate
from minifold_core.gates.oracle import sampler_gate, score_gate
from minifold_core.gates.overfit import Load, Progress
from minifold_core.gates.record import Finding, GateReport, Outcome
from minifold_core.gates.wiener import linear_gate


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


def run_gates(load: Load, directory: Path, setting: Setting) -> GateReport:
    """Run the gates that were asked for, each whatever became of those before it.

    Args:
        load: reads the version's recipe with changed values.
        directory: of the trainings of this version.
        setting: the rest.

    Raises:
        RequestError: the request cannot be met.
        ProtectedError: the directory holds other trainings.
    """
    recipe, chains, seed = load({}), setting.chains, setting.seed
    batch = collate(chains)
    where = (directory, seed, setting.device, setting.progress)
    gates: dict[str, Callable[[], Finding]] = {
        "g0": lambda: score_gate(recipe, batch, seed),
        "g1": lambda: sampler_gate(recipe, batch, seed),
        "g2": lambda: linear_gate(recipe, chains, seed),
        "g3": lambda: one_chain_gate(load, chains[0], setting.steps_one, *where),
        "g4": lambda: sixteen_chains_gate(
            load, chains, setting.library, setting.steps_sixteen, *where
        ),
    }
    findings = []
    for name, gate in gates.items():
        if name not in setting.gates:
            continue
        if name != "g0" and recipe.process is None:
            finding = Finding(name, "", "does not apply: no denoiser", Outcome.NONE)
        else:
            finding = _run(name, gate)
        findings.append(finding)
    return GateReport(recipe.id, recipe.size, seed, setting.data, tuple(findings))


def _run(name: str, gate: Callable[[], Finding]) -> Finding:
    try:
        return gate()
    except (RequestError, ProtectedError):
        raise
    except MinifoldError as error:
        return Finding(name, "", f"could not be run: {error}", Outcome.FAILED)
