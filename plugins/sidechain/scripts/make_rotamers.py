"""Write ``rotamers.json``: how often training chains have each rotamer, and its mean torsions.

python scripts/make_rotamers.py PACK
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from minifold_core.data.dataset import open_dataset
from minifold_core.residues import AMINO_ACIDS, ONE_TO_TOKEN, encode
from minifold_sidechain.geometry import chi_angles
from minifold_sidechain.ideal import CHI_ENDS, tables
from minifold_sidechain.rotamers import layout

OUT = Path(__file__).parents[1] / "minifold_sidechain" / "rotamers.json"


def main(pack: str) -> None:
    chis, tokens, chains = torsions(pack)
    basins = layout()
    numbers = basins.number(chis, tokens)
    residues: dict[str, dict[str, list[Any]]] = defaultdict(dict)
    for one in AMINO_ACIDS:
        own = tokens == ONE_TO_TOKEN[one]
        for number in numbers[own].unique().tolist():
            members = chis[own & (numbers == number)][:, : len(CHI_ENDS[one])]
            means = mean_torsions(members, basins.period[ONE_TO_TOKEN[one]])
            residues[one][str(number)] = [len(members), *means]
    lines = [f'    "{one}": {json.dumps(seen)}' for one, seen in residues.items()]
    head = f'{{\n  "chains": {chains},\n  "residues": {{\n'
    OUT.write_text(head + ",\n".join(lines) + "\n  }\n}\n")


def torsions(pack: str) -> tuple[torch.Tensor, torch.Tensor, int]:
    """[N, 4, 2] torsions and [N] tokens of residues with all torsions known; number of chains."""
    found, kinds, chains = [], [], 0
    for chain in open_dataset(pack).subset("train"):
        if chain.sidechain is None or chain.sidechain_mask is None:
            continue
        tokens = torch.tensor(encode(chain.sequence))
        backbone, sidechain, *known = (
            torch.from_numpy(x)
            for x in (chain.backbone, chain.sidechain, chain.backbone_mask, chain.sidechain_mask)
        )
        chi, defined = chi_angles(
            backbone.double(), sidechain.double(), torch.cat(known, -1), tokens
        )
        whole = (defined == tables().chi_mask[tokens]).all(-1) & tables().chi_mask[tokens].any(-1)
        found.append(chi[whole])
        kinds.append(tokens[whole])
        chains += 1
    return torch.cat(found), torch.cat(kinds), chains


def mean_torsions(members: torch.Tensor, period: torch.Tensor) -> list[float]:
    """Circular means [K] of [N, K, 2], on circles of those periods [4], in radians."""
    turns = (2 * torch.pi / period)[: members.shape[1]]
    angle = torch.atan2(members[..., 1], members[..., 0]) * turns
    mean = torch.atan2(angle.sin().mean(0), angle.cos().mean(0)) / turns
    return [round(value, 3) for value in mean.tolist()]


if __name__ == "__main__":
    main(sys.argv[1])
