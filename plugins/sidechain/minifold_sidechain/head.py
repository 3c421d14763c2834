"""Side chains on a backbone: a rotamer for each residue, then where in its basin."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Features, Head
from minifold_core.residues import VOCABULARY_SIZE
from minifold_core.units import MODEL_UNIT
from minifold_sidechain.config import BASINS, CHIS, ROTAMERS, SidechainHeadConfig
from minifold_sidechain.geometry import CA, C, N, place, tables_for
from minifold_sidechain.graph import GraphNetwork, make_graph
from minifold_sidechain.rotamers import cos_sin, rotamers_for

INVALID = -1e4
"""The logit of a rotamer that a residue has not: finite in half precision too."""


class SidechainHead(Head):
    """Chooses among rotamers, moves within the chosen basin, and places atoms.

    Choosing is what a mean of torsions cannot do: halfway between two basins there are no side
    chains. A rotamer's logit is the logarithm of its frequency in the training chains, plus a term
    for each of its basins, plus one of its own; both end in zeros, so an untrained head gives every
    residue its most frequent rotamer. Torsions stay within half a basin's width of their rotamer's
    mean; only that offset has a gradient from them, the choice has its own from its logits.
    """

    def __init__(self, config: SidechainHeadConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        d = config.d_model
        self.neighbours, self.moves_backbone = config.neighbours, config.moves_backbone
        self.network = GraphNetwork(config, widths["single"], widths.get("pair", 0))
        self.norm = nn.LayerNorm(d)
        self.basins = _last(d, VOCABULARY_SIZE * CHIS * BASINS)
        self.own = _last(d, VOCABULARY_SIZE * ROTAMERS)
        self.chosen = nn.Linear(CHIS * 2, d)
        self.offset = nn.Sequential(nn.Linear(d, d), nn.SiLU(), _last(d, CHIS))

    def forward(
        self,
        *,
        backbone: Tensor,
        tokens: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        single: Tensor,
        pair: Tensor | None,
        scale: Tensor | None,
    ) -> Features:
        """Build side chains.

        Args:
            backbone: [B, L, 4, 3] N, Cα, C, O in model units.
            tokens: [B, L] residue types; what is no amino acid gets no side chain.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.
            single: [B, L, d] residue features.
            pair: [B, L, L, p] pair features; those of neighbours in space are read.
            scale: [B] ångström per model unit; by default the fixed unit.

        Returns:
            ``chi`` [B, L, 4, 2] cosines and sines of χ1-χ4, 0 where there is none;
            ``rotamer_logits`` [B, L, 81]; ``sidechain`` [B, L, 10, 3] in model units, in the order
            of ``SIDECHAIN_ATOMS``, 0 where there is no atom.
        """
        with torch.autocast(backbone.device.type, enabled=False):
            unit = MODEL_UNIT if scale is None else at_least_fp32(scale)[:, None, None, None]
            atoms = at_least_fp32(backbone if self.moves_backbone else backbone.detach()) * unit
            known = mask & _distinct(atoms)
            graph = make_graph(atoms, known, residue_index, self.neighbours)
        h, _ = self.network(graph, tokens, self.run_block, single, pair)
        h = self.norm(h)
        basins, own = self.basins(h), self.own(h)
        with torch.autocast(backbone.device.type, enabled=False):
            logits = self._logits(at_least_fp32(basins), at_least_fp32(own), tokens)
            table = rotamers_for(logits)
            choice = logits.detach().argmax(-1)
            mean = table.of_number(table.mean, choice, tokens)
        offset = self.offset(h + self.chosen(cos_sin(mean).flatten(-2).to(h)))
        with torch.autocast(backbone.device.type, enabled=False):
            half = table.period[tokens] / table.parts[tokens] / 2
            chi = cos_sin(mean + half * at_least_fp32(offset).tanh())
            chi = chi * (tables_for(chi).chi_mask[tokens] & mask[..., None])[..., None]
            sidechain = place(atoms, chi, tokens) / unit
        return {
            "chi": chi,
            "rotamer_logits": logits * mask[..., None],
            "sidechain": sidechain * mask[..., None, None],
        }

    def _logits(self, basins: Tensor, own: Tensor, tokens: Tensor) -> Tensor:
        """[B, L, 81] from a term for every basin and one for every rotamer, of every residue."""
        table = rotamers_for(own)
        basins = _of(tokens, basins.unflatten(-1, (VOCABULARY_SIZE, CHIS, BASINS)))
        terms = basins.gather(-1, table.basin[tokens].transpose(-1, -2)).sum(-2)
        own = _of(tokens, own.unflatten(-1, (VOCABULARY_SIZE, ROTAMERS)))
        valid = table.valid[tokens]
        return torch.where(valid, table.prior[tokens] + terms + own, INVALID)


def _last(width: int, out: int) -> nn.Linear:
    """A layer that starts at zero."""
    layer = nn.Linear(width, out)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _of(tokens: Tensor, values: Tensor) -> Tensor:
    """[B, L, ...] the entries of ``values`` [B, L, V, ...] for the residue types that are there."""
    index = tokens.view(*tokens.shape, *[1] * (values.dim() - 2))
    return values.gather(2, index.expand(*tokens.shape, 1, *values.shape[3:])).squeeze(2)


def _distinct(atoms: Tensor) -> Tensor:
    """[B, L] residues whose N, Cα and C are three points, not the zeros of what is unknown."""
    apart = (atoms[..., (N, C), :] - atoms[..., CA, None, :]).abs().amax(-1)
    return apart.gt(1e-3).all(-1)
