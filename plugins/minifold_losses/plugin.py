"""Entry point: the losses of the published line."""

from __future__ import annotations

from minifold_core.components import ComponentSpec
from minifold_core.hookspecs import hookimpl

_LOSSES = {
    "fape": ("FAPELoss", "frame aligned point error of Cα in the predicted frames, unclamped"),
    "frame_rot": ("FrameRotationLoss", "1 - cos of the angle between predicted and native frames"),
    "dist_mse": ("DistanceLoss", "squared error of all pairwise Cα distances"),
    "bond": ("BondLoss", "squared error of consecutive Cα distances against 3.8 Å"),
    "chirality": ("ChiralityLoss", "squared error of normalised signed volumes of Cα quartets"),
    "angle": ("AngleLoss", "squared error of cosines of Cα bond angles"),
    "rg": ("RgLoss", "squared error of the logarithm of the radius of gyration"),
    "aux_dist": ("OrdinalDistanceLoss", "ordinal cross-entropy of binned Cα distances"),
    "clash": ("ClashLoss", "squared overlap of Cα closer than 3 Å, more where contacts are likely"),
}


@hookimpl
def minifold_components() -> list[ComponentSpec]:
    """Nine terms, under the names of the published columns."""
    return [
        ComponentSpec(
            kind="loss",
            name=name,
            config=f"minifold_losses.config:{cls}Config",
            implementation=f"minifold_losses.losses:{cls}",
            summary=summary,
        )
        for name, (cls, summary) in _LOSSES.items()
    ]
