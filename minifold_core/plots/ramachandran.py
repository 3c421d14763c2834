"""Which angles native chains have along them, beside those of samples and of single steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from torch import Tensor

from minifold_core.data.batching import collate
from minifold_core.data.records import Chain
from minifold_core.evaluation.generation.angles import (
    PSEUDO_SPANS,
    RAMACHANDRAN_SPANS,
    Floats,
    histogram,
    jensen_shannon,
)
from minifold_core.evaluation.noise_levels import single_step
from minifold_core.evaluation.peptides import phi_psi, units
from minifold_core.evaluation.threads import one_thread
from minifold_core.evaluation.trace import local_geometry, places
from minifold_core.model import FoldModel
from minifold_core.plots.angle_maps import draw_angle_maps
from minifold_core.plots.style import PAGE, new_figure, styled
from minifold_core.training.objective import Objective

LEVEL = 0.1
"""Of all noise levels: where the single step begins."""

LEFT, TOP, WIDTH, GAP = 16.0, 15.0, 43.0, 9.0
PSEUDO_HEIGHT, BETWEEN, HEIGHT, BOTTOM = 42.0, 20.0, 47.0, 11.0
"""Millimetres: maps, what lies above, beside, between and below them, and their heights."""
TICK, LOWEST = 30, 60
"""Degrees between ticks of pseudo-bond angles, and where they begin if there is none below."""


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
                pseudo.append(histogram(_pseudo_angles(structure.ca, chain), PSEUDO_SPANS))
                if structure.backbone is not None:
                    angles = _backbone_angles(structure.backbone, chain)
                    backbones.append(histogram(angles, RAMACHANDRAN_SPANS))
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
    upper = draw_angle_maps(figure, pseudo, PSEUDO_SPANS, (LEFT, TOP), (WIDTH, PSEUDO_HEIGHT), GAP)
    bottom = min([LOWEST, *_lowest(pseudo)])
    for axes, each, row in zip(upper, sets, rows, strict=True):
        axes.set_title(f"{each.name}\nJSD {row['pseudo_jsd']:.3f} bits")
        axes.set_xlabel("pseudo-dihedral of four Cα (°)")
        axes.set_ylim(bottom, 180)
        axes.xaxis.set_major_locator(MultipleLocator(90))
        axes.yaxis.set_major_locator(MultipleLocator(TICK))
    upper[0].set_ylabel("pseudo-bond angle of three Cα (°)")
    if both:
        top = TOP + PSEUDO_HEIGHT + BETWEEN
        swapped = [each.T for each in backbones]
        lower = draw_angle_maps(
            figure, swapped, RAMACHANDRAN_SPANS, (LEFT, top), (WIDTH, HEIGHT), GAP
        )
        for axes, row in zip(lower, rows, strict=True):
            axes.set_title(f"JSD {row['ramachandran_jsd']:.3f} bits")
            axes.set_xlabel("φ (°)")
            axes.xaxis.set_major_locator(MultipleLocator(90))
            axes.yaxis.set_major_locator(MultipleLocator(90))
        lower[0].set_ylabel("ψ (°)")
    return figure


def _lowest(pseudo: Sequence[Floats]) -> list[int]:
    """The tick in degrees at or below the lowest pseudo-bond angle, if there is any."""
    rows = np.flatnonzero(np.sum(pseudo, 0).sum(1))
    return [int(180 * row / len(pseudo[0])) // TICK * TICK for row in rows[:1]]


def _pseudo_angles(ca: Tensor, chain: Chain) -> Tensor:
    """[M, 2] angle at a Cα and dihedral from the one before it, in radians; NaN beside breaks."""
    mask, index = torch.from_numpy(chain.ca_mask)[None], _index(chain)
    found = local_geometry(ca.double()[None], mask, places(mask, index))
    return torch.stack([found.angle[0], found.dihedral[0]], -1)


def _backbone_angles(backbone: Tensor, chain: Chain) -> Tensor:
    """[L, 2] φ and ψ in radians, NaN where an atom or a neighbour is not known."""
    mask = torch.from_numpy(chain.backbone_mask)[None]
    return torch.stack(phi_psi(units(backbone.double()[None], mask, _index(chain))), -1)[0]


def _index(chain: Chain) -> Tensor:
    return torch.from_numpy(chain.residue_index).long()[None]
