"""Time and peak memory of optimizer steps: python benchmarks/step.py [v13] [--size full]

The four longest chains of the data make the batch, without accumulation; everything else is as
``minifold train`` does it. The first step also pays for allocation, so it is shown apart.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import torch

from minifold_core.assembly import assemble
from minifold_core.cli.platform import choose_device, choose_precision
from minifold_core.data.dataset import PackedDataset, open_dataset
from minifold_core.recipe import load_recipe
from minifold_core.recipe_tree import parse_assignments
from minifold_core.training.options import Options
from minifold_core.training.run import Run
from minifold_core.training.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", default="v13")
    parser.add_argument("--size", default="full")
    parser.add_argument("--data", default="demo")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()

    device = choose_device("auto")
    precision = choose_precision(options.precision, device)
    values = {**parse_assignments(options.set, "--set"), "training.accumulate": 1}
    recipe = load_recipe(options.version, options.size, values=values)
    chains = open_dataset(options.data)
    longest = PackedDataset(chains.file, chains.rows[chains.lengths.argsort()[-4:]])
    lengths = sorted(longest.lengths.tolist())
    print(f"{recipe.id} {recipe.size}, lengths {lengths}, {device} {precision}")
    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", recipe, {})
        made = Options(device, precision, max_steps=options.steps)
        trainer = Trainer(assemble(recipe), longest, None, made)
        trainer.on_step = lambda *_: ends.append(time.perf_counter())
        start = time.perf_counter()
        trainer.fit(run)
    seconds = [b - a for a, b in zip([start, *ends], ends, strict=False)]
    print("seconds per step:", ", ".join(f"{s:.2f}" for s in seconds))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak resident memory: {peak:.2f} GiB")
    if device.type == "cuda":
        print(f"peak device memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
