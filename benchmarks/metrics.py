"""How long all scores of 1,000 pairs of 100 residues take: half near the truth, half unrelated.

Seconds of processor time on one thread, which is what scores use.

python benchmarks/metrics.py
"""

from __future__ import annotations

import time

import torch

from minifold_core.evaluation.backbone import backbone_scores
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
    print(f"{PAIRS} pairs of {LENGTH} residues")
    atoms = pred[:, :, None] + torch.randn(PAIRS, LENGTH, 4, 3, generator=generator)
    for measure, args in (
        (rmsd, (pred, truth)),
        (lddt, (pred, truth)),
        (tm_score, (pred, truth)),
        (compare_structures, (pred, truth)),
        (backbone_scores, (atoms,)),
    ):
        start = time.process_time()
        measure(*args)
        print(f"{measure.__name__:20} {time.process_time() - start:6.2f} s")


if __name__ == "__main__":
    main()
