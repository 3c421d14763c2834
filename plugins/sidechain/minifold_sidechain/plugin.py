"""Entry point: what the plugin offers."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1

_NANO = {"d_model": 128, "d_edge": 64, "neighbours": 16}


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Encoder, head, losses and metric."""
    return [
        ComponentSpec(
            kind="encoder",
            name="backbone_graph",
            config="minifold_sidechain.config:BackboneGraphConfig",
            implementation="minifold_sidechain.encoder:BackboneGraph",
            summary="messages between neighbours in space on a given backbone",
            sizes={"nano": _NANO | {"layers": 3, "d_pair": 16}},
        ),
        ComponentSpec(
            kind="head",
            name="sidechain",
            config="minifold_sidechain.config:SidechainHeadConfig",
            implementation="minifold_sidechain.head:SidechainHead",
            summary="rotamers, χ1-χ4 and all heavy side-chain atoms on a backbone",
            sizes={"nano": _NANO | {"layers": 1}},
        ),
        ComponentSpec(
            kind="loss",
            name="chi",
            config="minifold_sidechain.config:ChiConfig",
            implementation="minifold_sidechain.losses:ChiLoss",
            summary="1 - cos of the errors of χ1-χ4, within their rotamers",
        ),
        ComponentSpec(
            kind="loss",
            name="rotamer",
            config="minifold_sidechain.config:RotamerConfig",
            implementation="minifold_sidechain.losses:RotamerLoss",
            summary="cross-entropy of the basin in which native torsions lie",
        ),
        ComponentSpec(
            kind="loss",
            name="sidechain_clash",
            config="minifold_sidechain.config:SidechainClashConfig",
            implementation="minifold_sidechain.clash:SidechainClashLoss",
            summary="squared overlaps of side-chain atoms with all others",
        ),
        ComponentSpec(
            kind="metric",
            name="sidechain",
            config="minifold_sidechain.config:SidechainFiguresConfig",
            implementation="minifold_sidechain.metric:SidechainFigures",
            summary="side-chain RMSD, χ errors and recovery beside the most frequent rotamer",
        ),
    ]


@hookimpl
def minifold_commands() -> dict[str, str]:
    """``minifold sidechain``."""
    return {"sidechain": "minifold_sidechain.command:app"}
