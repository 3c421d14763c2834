"""Entry point: the backbone head of v14 and its losses."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1

_LOSSES = {
    "bb_fape": ("BackboneFAPE", "frame aligned point error of N, Cα, C, O in N-Cα-C frames"),
    "bb_bond": ("BackboneBond", "squared error of the four backbone bond lengths"),
    "bb_angle": ("BackboneAngle", "squared error of cosines of the three backbone bond angles"),
    "omega": ("Omega", "1 - cos of the peptide torsion's distance from 180° or the native angle"),
    "phi_psi": ("PhiPsi", "1 - cos of the errors of the torsions beside Cα"),
}


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The head, and five terms under the names of the published columns."""
    head = ComponentSpec(
        kind="head",
        name="backbone",
        config="minifold_backbone.config:BackboneHeadConfig",
        implementation="minifold_backbone.head:BackboneHead",
        summary="N, Cα, C, O by ideal geometry and learned offsets on the predicted frames",
        sizes={"nano": {"hidden": 64}},
    )
    losses = [
        ComponentSpec(
            kind="loss",
            name=name,
            config=f"minifold_backbone.config:{stem}Config",
            implementation=f"minifold_backbone.losses:{stem}Loss",
            summary=summary,
        )
        for name, (stem, summary) in _LOSSES.items()
    ]
    return [head, *losses]
