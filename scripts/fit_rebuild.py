"""Fit the angles of peptide planes: ``python scripts/fit_rebuild.py PACK SOURCE [OUT]``.

Writes the coefficients that ``rebuild_backbone`` uses, from the training chains of PACK alone.
SOURCE says in the table what those chains are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize, pad

from minifold_core.data.breaks import linked
from minifold_core.data.dataset import open_dataset
from minifold_core.data.records import Chain
from minifold_core.geometry.peptide_angles import TABLE_PATH, is_cis, surroundings

ORDERS = {"trans": (5, 7, 3, 3), "cis": (1, 3, 2, 2), "first": (5, 1, 1, 3), "last": (5, 1, 3, 1)}
"""How many columns of each factor the regression for a kind of surroundings takes."""
RIDGE = 1e-6
"""Added to the mean square of every term: coefficients stay small where there is little data."""
NOTE = (
    "Cosine and sine of the angle of O about the axis from one Cα to the next, for each product of "
    "one column per factor of Surroundings (peptide_angles.py), the last factor's changing "
    "fastest. 'first' and 'last' serve peptides at the ends of a chain; they are fitted to all "
    "trans peptides without the Cα before, or after, them. Least squares, ridge "
    f"{RIDGE:g}, by scripts/fit_rebuild.py."
)


def main(pack: str, source: str, out: str | Path = TABLE_PATH) -> None:
    """Fit the regression for each kind of surroundings and write them all."""
    chains = list(open_dataset(pack).subset("train"))
    lines = []
    for kind, orders in ORDERS.items():
        parts = zip(*(examples(chain, kind) for chain in chains), strict=True)
        terms, angles = map(torch.cat, parts)
        fitted = fit(terms, angles)
        error = 1 - cosine_similarity(terms @ fitted, angles).mean()
        print(f"{kind}: {len(terms)} peptides, {terms.shape[1]} terms, 1 - cos {error:.4f}")
        values = {"peptides": len(terms), "orders": orders, "coefficients": rounded(fitted)}
        lines.append(f'  "{kind}": {json.dumps(values)}')
    head = json.dumps({"note": NOTE, "source": f"{len(chains)} {source}"}, ensure_ascii=False)
    body = ",\n".join(lines)
    Path(out).write_text(f'{head[:-1]},\n"regressions": {{\n{body}\n}}}}\n', encoding="utf-8")


def examples(chain: Chain, kind: str) -> tuple[Tensor, Tensor]:
    """[M, T] terms and [M, 2] cosine and sine of the angle, for the peptides of one kind."""
    atoms = torch.from_numpy(chain.backbone).double()
    ca, oxygen = atoms[:, 1], atoms[:-1, 3]
    known = torch.from_numpy(chain.backbone_mask).all(-1)
    bonded = torch.from_numpy(linked(chain.backbone, chain.backbone_mask)[0])
    bonded &= known[1:] & known[:-1]
    before, after = pad(bonded, (1, 0))[:-1], pad(bonded, (0, 1))[1:]
    cis = is_cis(ca, chain.sequence)
    use = bonded & before & after & (cis if kind == "cis" else ~cis)
    around = surroundings(ca, chain.sequence, before & (kind != "first"), after & (kind != "last"))
    across = torch.einsum("mi,mij->mj", oxygen - ca[:-1], around.rotation)[:, 1:]
    return around.terms(ORDERS[kind])[use], normalize(across, dim=-1)[use]


def fit(terms: Tensor, angles: Tensor) -> Tensor:
    """[T, 2] coefficients by ridge regression."""
    square = terms.T @ terms / len(terms) + RIDGE * torch.eye(terms.shape[1], dtype=terms.dtype)
    return torch.linalg.solve(square, terms.T @ angles / len(terms))


def rounded(coefficients: Tensor) -> list[list[float]]:
    return [[round(value, 4) for value in row] for row in coefficients.tolist()]


if __name__ == "__main__":
    main(*sys.argv[1:])
