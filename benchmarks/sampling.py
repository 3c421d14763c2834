"""What sampling costs beside its denoiser calls: python benchmarks/sampling.py [v13] [--size full]

The weights are fresh: they cost what trained ones do. ``calls`` are the denoiser alone, as often as
sampling calls it; what sampling takes beyond that is the trunk, once per condition, and the steps'
own arithmetic. On a CPU one thread works and its own seconds are counted, which other load hardly
changes.
"""

from __future__ import annotations

import argparse
import resource
import time

import torch

from minifold_core.assembly import assemble
from minifold_core.batch import ProteinBatch
from minifold_core.cli.platform import choose_device
from minifold_core.diffusion.sampler import run_trunk, sample
from minifold_core.recipe import load_recipe
from minifold_core.training.objective import build_process


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", nargs="?", default="v13")
    parser.add_argument("--size", default="full")
    parser.add_argument("--length", type=int, default=100)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance", type=float, default=1.0)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    device = choose_device("auto")
    torch.set_num_threads(1)
    recipe = load_recipe(options.version, options.size)
    model, process = assemble(recipe).to(device).eval(), build_process(recipe)
    batch = ProteinBatch.from_sequences(["A" * options.length]).to(device)

    def trunk() -> None:
        run_trunk(model, batch, options.guidance)

    def whole(trunks=None) -> None:
        sample(
            model,
            process,
            batch,
            generators=[torch.Generator()] * options.copies,
            steps=options.steps,
            guidance=options.guidance,
            copies=options.copies,
            self_condition=recipe.training.self_conditioning > 0,
            trunks=trunks,
        )

    spent = 0.0
    denoise = model.denoise

    def timed(*arguments):
        nonlocal spent
        answer, seconds = clocked(lambda: denoise(*arguments), device)
        spent += seconds
        return answer

    model.denoise = timed
    rows = []
    for _ in range(options.repeats):
        spent = 0.0
        _, total = clocked(whole, device)
        rows.append((total / spent, total, spent, clocked(trunk, device)[1]))
    ratio, total, calls, passes = sorted(rows)[len(rows) // 2]
    about = f"{recipe.id} {recipe.size}, L {options.length}, {options.steps} steps, {device}"
    print(f"{about}, guidance {options.guidance:g}, copies {options.copies}")
    print(f"sampling {total:.2f} s = {ratio:.2f} x calls {calls:.2f} s; trunk {passes:.2f} s")
    if device.type == "cuda":
        print(f"peak device memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak resident memory: {peak:.2f} GiB")


def clocked(work, device: torch.device):
    """What ``work`` returns, and its seconds."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    began = clock()
    done = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return done, clock() - began


if __name__ == "__main__":
    main()
