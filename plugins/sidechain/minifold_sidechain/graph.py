"""Messages between neighbours in space, on features that no turn or shift changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu

from minifold_core.geometry.frames import gram_schmidt, safe_norm
from minifold_core.residues import ONE_TO_TOKEN, VOCABULARY_SIZE
from minifold_sidechain.config import GraphConfig
from minifold_sidechain.geometry import CA, C, N, bisector_frames, tables_for, torsion

SHELLS, REACH = 12, 20.0
"""Gaussian shells in which a distance is told, out to that many ångström."""
NEAR = 8
"""Places along the chain beyond which all are far."""
ATOMS = 5
FAR = 1e6
"""A distance in ångström at which nobody is a neighbour."""
EDGE_FEATURES = ATOMS * ATOMS * SHELLS + 3 * ATOMS + 9 + 2 * NEAR + 1
NODE_FEATURES = 9


class Graph(NamedTuple):
    """Who hears from whom.

    Attributes:
        others: [B, L, K] neighbours, the nearest first.
        heard: [B, L, K] which of those count.
        edges: [B, L, K, EDGE_FEATURES] where they are, seen from the residue's own frame.
        nodes: [B, L, NODE_FEATURES] cosine and sine of φ, ψ and ω, and which are defined.
    """

    others: Tensor
    heard: Tensor
    edges: Tensor
    nodes: Tensor


def make_graph(backbone: Tensor, known: Tensor, residue_index: Tensor, neighbours: int) -> Graph:
    """The graph of chains.

    Args:
        backbone: [B, L, 4, 3] N, Cα, C, O in ångström, float32 or wider.
        known: [B, L] residues whose atoms are there.
        residue_index: [B, L] positions along the chain.
        neighbours: K at most.
    """
    alanine = tables_for(backbone).position[ONE_TO_TOKEN["A"], 0]
    ca = backbone[..., CA, :]
    cb = ca + (bisector_frames(backbone) @ alanine[:, None]).squeeze(-1)
    atoms = torch.cat([backbone, cb[..., None, :]], -2)
    index, heard = _nearest(cb, known, neighbours)
    there = gather(atoms.flatten(-2), index).unflatten(-1, (ATOMS, 3))

    apart = safe_norm(atoms[:, :, None, :, None] - there[..., None, :, :], 1e-6)
    rotation = gram_schmidt(ca, backbone[..., C, :], backbone[..., N, :])
    local = (there - ca[:, :, None, None]) @ rotation[:, :, None]
    theirs = gather(rotation.flatten(-2), index).unflatten(-1, (3, 3))
    turn = rotation[:, :, None].transpose(-1, -2) @ theirs
    separation = gather(residue_index[..., None], index).squeeze(-1) - residue_index[..., None]
    separation = separation.clamp(-NEAR, NEAR) + NEAR
    places = torch.arange(2 * NEAR + 1, device=ca.device)
    along = separation[..., None].eq(places).to(ca)
    # Beyond the reach only the direction is told: far atoms are no large numbers.
    squashed = local / (REACH + safe_norm(local, 1e-6)[..., None])
    seen = [_shells(apart).flatten(-3), squashed.flatten(-2), turn.flatten(-2), along]
    edges = torch.cat(seen, -1)
    return Graph(index, heard, edges, _turns(backbone, known, residue_index))


def gather(values: Tensor, index: Tensor) -> Tensor:
    """[B, L, K, d] the rows of ``values`` [B, L, d] that ``index`` [B, L, K] names."""
    b, length, k = index.shape
    flat = index.flatten(1)[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, flat).view(b, length, k, -1)


def _nearest(cb: Tensor, known: Tensor, neighbours: int) -> tuple[Tensor, Tensor]:
    """[B, L, K] the nearest known residues by Cβ, and which of those are real."""
    with torch.no_grad():
        far = torch.cdist(cb, cb, compute_mode="donot_use_mm_for_euclid_dist")
        itself = torch.eye(cb.shape[1], dtype=torch.bool, device=cb.device)
        real = known[:, :, None] & known[:, None] & ~itself
        far = torch.where(real, far.clamp(max=FAR), 2 * FAR)
        distance, index = far.topk(min(neighbours, cb.shape[1]), dim=-1, largest=False)
    return index, distance < 2 * FAR


def _shells(distance: Tensor) -> Tensor:
    """[..., SHELLS] how much of a distance lies in each shell."""
    width = REACH / SHELLS
    centres = torch.arange(SHELLS, device=distance.device, dtype=distance.dtype) * width + width
    return torch.exp(-(((distance[..., None] - centres) / width) ** 2))


def _turns(backbone: Tensor, known: Tensor, residue_index: Tensor) -> Tensor:
    """[B, L, 9] φ, ψ and ω before the residue, each as cosine, sine and whether it is defined."""
    n, ca, c = (backbone[:, :, atom] for atom in (N, CA, C))
    linked = known[:, 1:] & known[:, :-1] & (residue_index[:, 1:] - residue_index[:, :-1]).eq(1)
    phi = torsion(c[:, :-1], n[:, 1:], ca[:, 1:], c[:, 1:])
    psi = torsion(n[:, :-1], ca[:, :-1], c[:, :-1], n[:, 1:])
    omega = torsion(ca[:, :-1], c[:, :-1], n[:, 1:], ca[:, 1:])
    found = []
    for both, place in ((phi, (1, 0)), (psi, (0, 1)), (omega, (1, 0))):
        unit = both / safe_norm(both, 1e-4)[..., None]
        told = torch.cat([unit, torch.ones_like(unit[..., :1])], -1) * linked[..., None]
        found.append(pad(told, (0, 0, *place)))
    return torch.cat(found, -1)


class GraphLayer(nn.Module):
    """One round: residues hear from their neighbours, think, and see their neighbours anew."""

    def __init__(self, config: GraphConfig, sees_anew: bool) -> None:
        super().__init__()
        d, e = config.d_model, config.d_edge
        self.norm, self.edge_norm = nn.LayerNorm(d), nn.LayerNorm(e)
        self.listen, self.hear = _Meeting(d, e), nn.Linear(d, d)
        self.think = nn.Sequential(
            nn.LayerNorm(d), nn.Linear(d, 2 * d), nn.SiLU(), nn.Linear(2 * d, d)
        )
        self.see = nn.ModuleList(
            [nn.LayerNorm(d), nn.LayerNorm(e), _Meeting(d, e), nn.Linear(d, e)]
        )
        if not sees_anew:
            self.see = nn.ModuleList()
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h: Tensor, e: Tensor, index: Tensor, heard: Tensor) -> tuple[Tensor, Tensor]:
        """New [B, L, d] residues and [B, L, K, e] edges."""
        message = self.listen(self.norm(h), self.edge_norm(e), index) * heard[..., None]
        count = heard.sum(-1, keepdim=True).clamp(min=1)
        h = h + self.dropout(self.hear(message.sum(-2) / count))
        h = h + self.dropout(self.think(h))
        if self.see:
            norm, edge_norm, meet, out = self.see
            e = e + self.dropout(out(meet(norm(h), edge_norm(e), index)))
        return h, e


class _Meeting(nn.Module):
    """What a residue, its neighbour, and the place of one in the other's frame make together."""

    def __init__(self, d: int, e: int) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(d, d), nn.Linear(d, d, bias=False)
        self.edge = nn.Linear(e, d, bias=False)

    def forward(self, h: Tensor, e: Tensor, index: Tensor) -> Tensor:
        return silu(self.own(h)[:, :, None] + gather(self.other(h), index) + self.edge(e))


class GraphNetwork(nn.Module):
    """Features of residues and of their neighbours, after some rounds of messages.

    Args:
        config: widths, and the number of rounds.
        single: width of residue features to begin from, beside residue types; 0 for none.
        pair: width of pair features to begin from, beside the geometry; 0 for none.
        edges_after: whether anything reads the edges in the end.
    """

    def __init__(
        self, config: GraphConfig, single: int = 0, pair: int = 0, edges_after: bool = False
    ) -> None:
        super().__init__()
        d, e = config.d_model, config.d_edge
        self.residue, self.node = nn.Embedding(VOCABULARY_SIZE, d), nn.Linear(NODE_FEATURES, d)
        self.single = nn.Sequential(nn.LayerNorm(single), nn.Linear(single, d)) if single else None
        self.edge = nn.Linear(EDGE_FEATURES, e)
        self.pair = nn.Sequential(nn.LayerNorm(pair), nn.Linear(pair, e)) if pair else None
        self.layers = nn.ModuleList(
            GraphLayer(config, edges_after or k < config.layers - 1) for k in range(config.layers)
        )

    def forward(
        self,
        graph: Graph,
        tokens: Tensor,
        run: Callable[..., Any],
        single: Tensor | None = None,
        pair: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """[B, L, d] residues and [B, L, K, e] edges.

        Args:
            graph: K neighbours of each residue.
            tokens: [B, L] residue types.
            run: calls a layer, perhaps to recompute it in the backward pass.
            single: [B, L, ...] residue features.
            pair: [B, L, L, ...] pair features; those of neighbours are read.
        """
        weight = self.node.weight
        h = self.residue(tokens) + self.node(graph.nodes.to(weight))
        e = self.edge(graph.edges.to(weight))
        if self.single is not None:
            h = h + self.single(single)
        if self.pair is not None and pair is not None:
            index = graph.others[..., None].expand(*graph.others.shape, pair.shape[-1])
            e = e + self.pair(pair.gather(2, index))
        for layer in self.layers:
            h, e = run(layer, h, e, graph.others, graph.heard)
        return h, e
