"""Print whether g4's fold is lost on the way: TM-scores by the number of sampling steps.

    python scripts/gate_steps.py RUN...

RUN is what ``minifold gates`` has trained on sixteen chains of the demo set: DIR/VERSION/sixteen.
Each is sampled from the same noise with its own sequences and with their residues shuffled.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from minifold_core.console import progress
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.evaluation.shuffled import shuffled
from minifold_core.gates.chains import gate_chains
from minifold_core.gates.memory import sampled, scores
from minifold_core.model import FoldModel
from minifold_core.weights.io import load_model

STEPS = (1, 2, 5, 10, 50)
SEED = 0


def main(runs: Sequence[str]) -> None:
    chains = gate_chains(open_dataset())
    others = [shuffled(chain, SEED) for chain in chains]
    print("| run |", " | ".join(f"{n} steps" for n in STEPS), "|")
    for run in runs:
        model, _ = load_model(Path(run) / "last.safetensors")
        cells = [
            f"{_mean_tm(model, chains, n):.2f} ({_mean_tm(model, others, n):.2f})" for n in STEPS
        ]
        print(f"| {model.recipe.id} |", " | ".join(cells), "|", flush=True)


@torch.inference_mode()
def _mean_tm(model: FoldModel, chains: Sequence[Chain], steps: int) -> float:
    settings = model.recipe.sampling.model_copy(update={"steps": steps})
    tm, _ = scores(sampled(model, chains, 1, SEED, progress, settings), chains)
    return float(tm.mean())


if __name__ == "__main__":
    main(sys.argv[1:])
