"""Entry point: the losses of the published line."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

minifold_api = 1

_LOSSES = {
    "fape": ("frames", "FAPE", "frame aligned point error of Cα in the predicted frames"),
    "frame_rot": ("frames", "FrameRotation", "1 - cos of the angle between the frames"),
    "dist_mse": ("distances", "Distance", "squared error of all pairwise Cα distances"),
    "clash": ("distances", "Clash", "squared overlap of Cα nearer than 3 Å, more at contacts"),
    "bond": ("local", "Bond", "squared error of consecutive Cα distances against 3.8 Å"),
    "angle": ("local", "Angle", "squared error of cosines of Cα bond angles"),
    "chirality": ("local", "Chirality", "squared error of signed volumes of Cα quartets"),
    "rg": ("heads", "Rg", "squared error of the logarithm of the radius of gyration"),
    "aux_dist": ("heads", "OrdinalDistance", "ordinal cross-entropy of binned Cα distances"),
    "aux_distogram": ("heads", "Distogram", "cross-entropy of Cα distances as classes"),
}


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """The terms under the names of the published columns, and the distogram of v10."""
    return [
        ComponentSpec(
            kind="loss",
            name=name,
            config=f"minifold_losses.config:{stem}Config",
            implementation=f"minifold_losses.{module}:{stem}Loss",
            summary=summary,
        )
        for name, (module, stem, summary) in _LOSSES.items()
    ]
