"""Which angles native chains have along them, beside those of samples and of single steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    RAMACHANDRAN_SPANS,
    Floats,
    histogram,
    jensen_shannon,
    pseudo_angles,
    ramachandran_angles,
)
from minifold_core.evaluation.noise_levels import single_step
from minifold_core.evaluation.threads import one_thread
from minifold_core.model import FoldModel
from minifold_core.plots.angle_maps import Layout, draw_pseudo_maps, draw_ramachandran_maps
from minifold_core.plots.style import PAGE, new_figure, styled
from minifold_core.training.objective import Objective

LEVEL = 0.1
"""Of all noise levels: where the single step begins."""

LEFT, TOP, WIDTH, GAP = 16.0, 15.0, 43.0, 9.0
PSEUDO_HEIGHT, BETWEEN, HEIGHT, BOTTOM = 42.0, 20.0, 47.0, 11.0
"""Millimetres: maps, what lies above, beside, between and below them, and their heights."""


class Structure(NamedTuple):
    """[L, 3] Cα in ångström, and [L, 4, 3] N, Cα, C, O where they are placed."""

    ca: Tensor
    backbone: Tensor | None


@dataclass(frozen=True, eq=False)
class AngleSet:
    """How often pairs of angles occur in one structure of each of some chains.

    Attributes:
        name: what the structures are, in lines.
        pseudo: [18, 36] counts of pseudo-bond angle and pseudo-dihedral.
        backbone: [36, 36] counts of φ and ψ; None without backbones.
    """

    name: str
    pseudo: Floats
    backbone: Floats | None

    @classmethod
    def of(
        cls, name: str, chains: Sequence[Chain], structures: Mapping[str, Structure]
    ) -> AngleSet:
        """Count the residues whose native atoms are known, apart from those beside a break."""
        pseudo, backbones = [], []
        with one_thread():
            for chain in chains:
                structure = structures[chain.name]
                known = torch.from_numpy(chain.backbone_mask)
                index = torch.from_numpy(chain.residue_index).long()
                bends = pseudo_angles(structure.ca, known[:, 1], index)
                pseudo.append(histogram(bends, PSEUDO_SPANS))
                if structure.backbone is not None:
                    turns = ramachandran_angles(structure.backbone, known, index)
                    backbones.append(histogram(turns, RAMACHANDRAN_SPANS))
        return cls(name, np.sum(pseudo, 0), np.sum(backbones, 0) if backbones else None)


def native_structures(chains: Sequence[Chain]) -> dict[str, Structure]:
    """Each chain as it is."""
    atoms = {chain.name: torch.from_numpy(chain.backbone) for chain in chains}
    return {name: Structure(each[:, 1], each) for name, each in atoms.items()}


@torch.no_grad()
def single_steps(
    model: FoldModel,
    chains: Sequence[Chain],
    on_chain: Callable[[int], None] = lambda chains: None,
) -> tuple[int, dict[str, Structure]]:
    """A low noise level, and what one step makes of each native chain noised to it.

    Args:
        model: with a denoiser, on the device to use; it is put into evaluation mode.
        chains: native chains.
        on_chain: called with 1 after every chain.
    """
    model = model.eval()
    objective = Objective.of(model.recipe)
    assert objective.process is not None
    t = round(LEVEL * objective.process.timesteps)
    device = next(model.parameters()).device
    found = {}
    for chain in chains:
        batch = collate([chain]).to(device)
        trunk = model.trunk(batch, complete=True)
        features = single_step(model, objective, batch, t, trunk)[1]
        scale = objective.truth(batch).scale[0]
        ca, backbone = (
            None if (x := features.get(port)) is None else (x[0] * scale).cpu()
            for port in ("coords", "backbone")
        )
        assert ca is not None
        found[chain.name] = Structure(ca, backbone)
        on_chain(1)
    return t, found


def divergences(sets: Sequence[AngleSet]) -> list[dict[str, Any]]:
    """Of each set, and of each kind of angles, the Jensen-Shannon divergence from the first set."""
    first, rows = sets[0], []
    for each in sets:
        row: dict[str, Any] = {"name": each.name.replace("\n", " ")}
        row["pseudo_jsd"] = jensen_shannon(each.pseudo, first.pseudo)
        if each.backbone is not None and first.backbone is not None:
            row["ramachandran_jsd"] = jensen_shannon(each.backbone, first.backbone)
        rows.append(row)
    return rows


@styled
def draw_ramachandran(sets: Sequence[AngleSet]) -> Figure:
    """Maps of three sets: pseudo-angles, and below them φ and ψ where all sets have backbones.

    Titles tell the Jensen-Shannon divergence from the first set, in bits.
    """
    backbones = [each.backbone for each in sets if each.backbone is not None]
    both = len(backbones) == len(sets)
    figure = new_figure(PAGE, TOP + PSEUDO_HEIGHT + both * (BETWEEN + HEIGHT) + BOTTOM)
    rows = divergences(sets)
    pseudo = [each.pseudo for each in sets]
    upper = draw_pseudo_maps(figure, pseudo, Layout(LEFT, TOP, WIDTH, PSEUDO_HEIGHT, GAP))
    for axes, each, row in zip(upper, sets, rows, strict=True):
        axes.set_title(f"{each.name}\nJSD {row['pseudo_jsd']:.3f} bits")
    if both:
        top = TOP + PSEUDO_HEIGHT + BETWEEN
        lower = draw_ramachandran_maps(figure, backbones, Layout(LEFT, top, WIDTH, HEIGHT, GAP))
        for axes, row in zip(lower, rows, strict=True):
            axes.set_title(f"JSD {row['ramachandran_jsd']:.3f} bits")
    return figure
