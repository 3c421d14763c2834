"""How long all metrics of 1,000 pairs of 100 residues take: half near the truth, half unrelated.

python benchmarks/metrics.py
"""

from __future__ import annotations

import time

import torch

from minifold_core.evaluation.floors import coil
from minifold_core.evaluation.metrics import compare_structures, lddt, rmsd, tm_score

PAIRS, LENGTH = 1000, 100


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(PAIRS, LENGTH, dtype=torch.bool)
    globule = 12 * torch.randn(PAIRS, LENGTH, 3, generator=generator)
    truth, unrelated = coil(globule, mask, generator), coil(globule, mask, generator)
    noisy = truth + 1.5 * torch.randn(truth.shape, generator=generator)
    pred = torch.where((torch.arange(PAIRS) % 2 == 0)[:, None, None], noisy, unrelated)
    print(f"{PAIRS} pairs of {LENGTH} residues, {torch.get_num_threads()} threads")
    for measure in (rmsd, lddt, tm_score, compare_structures):
        start = time.perf_counter()
        measure(pred, truth)
        print(f"{measure.__name__:20} {time.perf_counter() - start:6.2f} s")


if __name__ == "__main__":
    main()
