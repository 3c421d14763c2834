"""An encoder that is given the backbone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from minifold_core.geometry.frames import at_least_fp32
from minifold_core.interfaces import Encoder, Features
from minifold_core.units import MODEL_UNIT
from minifold_sidechain.config import BackboneGraphConfig
from minifold_sidechain.geometry import C, O
from minifold_sidechain.graph import GraphNetwork, make_graph


class BackboneGraph(Encoder):
    """Residue types and a backbone to features, by messages between neighbours in space.

    ``pair`` holds what is left of the edges and is zero for residues that are no neighbours.
    """

    def __init__(self, config: BackboneGraphConfig, widths: Mapping[str, int]) -> None:
        super().__init__(config, widths)
        self.neighbours, self.noise = config.neighbours, config.noise
        self.network = GraphNetwork(config, edges_after=True)
        self.norm = nn.LayerNorm(config.d_model)
        self.pair = nn.Linear(config.d_edge, config.d_pair)

    def forward(
        self,
        *,
        tokens: Tensor,
        mask: Tensor,
        residue_index: Tensor,
        given_backbone: Tensor,
        given_backbone_mask: Tensor,
    ) -> Features:
        """Read a backbone.

        Args:
            tokens: [B, L] residue types.
            mask: [B, L] True where there is a residue.
            residue_index: [B, L] position along the chain.
            given_backbone: [B, L, 4, 3] N, Cα, C, O in ångström.
            given_backbone_mask: [B, L, 4] which of them are known.

        Returns:
            ``single`` [B, L, d], ``pair`` [B, L, L, p], and ``backbone`` [B, L, 4, 3] in model
            units.
        """
        with torch.autocast(given_backbone.device.type, enabled=False):
            atoms = at_least_fp32(given_backbone)
            backbone = atoms / MODEL_UNIT
            # Whoever lacks its O has a C where it would be; whoever lacks more is no neighbour.
            oxygen = torch.where(
                given_backbone_mask[..., O, None], atoms[..., O, :], atoms[..., C, :]
            )
            atoms = torch.cat([atoms[..., :O, :], oxygen[..., None, :]], -2)
            if self.training and self.noise:
                atoms = atoms + self.noise * torch.randn_like(atoms)
            known = mask & given_backbone_mask[..., :O].all(-1)
            graph = make_graph(atoms, known, residue_index, self.neighbours)
        h, e = self.network(graph, tokens, self.run_block)
        edges = self.pair(e) * graph.heard[..., None]
        b, length = tokens.shape
        pair = edges.new_zeros(b, length, length, edges.shape[-1])
        pair = pair.scatter_add(2, graph.others[..., None].expand(edges.shape), edges)
        there = (mask[..., None] & given_backbone_mask)[..., None]
        return {
            "single": self.norm(h) * mask[..., None],
            "pair": pair,
            "backbone": backbone.masked_fill(~there, 0),
        }
