"""Make minifold_core/evaluation/ramachandran.npz: how many natural residues lie where in φ and ψ.

    minifold data pack chain_set.jsonl.gz --max-length 512 --out chains.safetensors
    python scripts/make_ramachandran.py chains.safetensors

It counts the training chains of a pack of natural chains. Neither resolution nor temperature
factors are known, and the table is to say what well determined chains do; so those chains are left
out of which more than a hundredth lies outside the region that holds 98 % of all chains' residues.
Only counts are stored.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from minifold_core.data.batching import collate
from minifold_core.data.dataset import open_dataset
from minifold_core.evaluation.peptides import kinds, phi_psi, units
from minifold_core.evaluation.ramachandran import (
    CELLS,
    FAVOURED,
    TABLE,
    cell,
    share_in_denser_cells,
)

MOST_RARE = 0.01


def place(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """[R, 3] kind, φ cell and ψ cell of every residue that has both angles; [R] its chain."""
    residues, owners = [], []
    for number, chain in enumerate(open_dataset(path).subset("train")):
        batch = collate([chain])
        phi, psi = phi_psi(units(batch.backbone.double(), batch.backbone_mask, batch.residue_index))
        known = phi.isfinite() & psi.isfinite()
        each = [kinds(batch.tokens)[known], cell(phi[known]), cell(psi[known])]
        residues.append(np.stack([values.numpy() for values in each], -1))
        owners.append(np.full(len(residues[-1]), number))
    return np.concatenate(residues), np.concatenate(owners)


def count(residues: np.ndarray) -> np.ndarray:
    """[3, CELLS, CELLS] how many residues lie where."""
    counts = np.zeros((3, CELLS, CELLS), np.int32)
    np.add.at(counts, tuple(residues.T), 1)
    return counts


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    residues, owners = place(Path(sys.argv[1]))
    rare = share_in_denser_cells(count(residues))[tuple(residues.T)] >= FAVOURED
    good = np.bincount(owners, rare) <= MOST_RARE * np.bincount(owners)
    counts = count(residues[good[owners]])
    np.savez_compressed(TABLE, counts=counts)
    print(
        f"{good.sum()} of {len(good)} chains, {counts.sum((1, 2))} residues (general, glycine, "
        f"proline), {TABLE.stat().st_size / 1000:.0f} kB: {TABLE}"
    )


if __name__ == "__main__":
    main()
